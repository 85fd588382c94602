"""A visit of the page in a browser."""

from playwright.sync_api import FilePayload, Locator, Page, expect


class Visit:
    """Somebody opens the page; what their browser did is on record."""

    def __init__(self, page: Page, service: str) -> None:
        self.page = page
        self.service = service
        self.complaints: list[str] = []
        self.traffic: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(error.message))
        page.on("request", lambda request: self.traffic.append(request.url))
        page.on("response", lambda response: self.traffic.append(f"{response.url} answered"))
        page.goto(service)

    def ask(self, url: str) -> None:
        self.page.get_by_label("address of a picture").fill(url)
        self.page.keyboard.press("Enter")

    def choose(self, *files: FilePayload) -> None:
        self.page.get_by_label("choose a file").set_input_files(files)

    def picture(self, card: Locator) -> Locator:
        """The picture on a card: a button that enlarges it."""
        return card.get_by_role("button", name="Enlarge the picture")

    def cards(self, *headings: str) -> Locator:
        """The answers' cards, once these are their headings."""
        cards = self.page.get_by_role("article")
        expect(cards.get_by_role("heading")).to_have_text(headings)
        return cards
