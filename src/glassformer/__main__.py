"""Run the command line: `glassformer` and python -m glassformer."""

# No others up here: Ctrl-C would still be answered by a traceback.
import os


def main() -> None:
    """Run the command line; Ctrl-C ends it with one line also while it is being imported.

    Nothing has been written by then, and libraries that are interrupted while they are imported may catch it, or print
    a traceback: the process ends at once.
    """
    try:
        import signal

        # One that is ignored, as in the background, stays ignored.
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _stop)
        from glassformer.cli.app import main as run

        if signal.getsignal(signal.SIGINT) is _stop:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        run()
    except KeyboardInterrupt:
        _stop()


def _stop(*signal: object) -> None:
    """End the process with the line that Ctrl-C leaves elsewhere, too."""
    try:
        os.write(2, b"error: stopped\n")
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
