"""`python -m facerec` is the command `facerec`."""

from facerec.commands.main import main

if __name__ == "__main__":
    main()
