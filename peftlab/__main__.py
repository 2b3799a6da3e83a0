"""`python -m peftlab` is `peftlab`."""

from peftlab.command.train import main

if __name__ == "__main__":
    main()
