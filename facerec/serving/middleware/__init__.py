"""ASGI middleware, from the outermost inwards.

request_log        gives each request an id, a log line and its metrics
(CORSMiddleware)   Starlette's, where `FACEREC_CORS_ORIGINS` names other sites
problem_details    answers every exception
unread_parts       drops the cookies and the query, which no endpoint reads
body_limit         reads the body within limits, and checks it with `body_content`
"""
