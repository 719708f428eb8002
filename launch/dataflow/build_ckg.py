"""What the Flex Template's launcher runs: `kdcn build-ckg` with the template's parameters."""

from pipelines.build_ckg import main

if __name__ == "__main__":
    main()
