"""`python -m onnxprof`."""

from onnxprof.cli.main import main

if __name__ == "__main__":
    main()
