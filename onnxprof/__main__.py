"""`python -m onnxprof`."""

from onnxprof.cli import main

if __name__ == "__main__":
    main()
