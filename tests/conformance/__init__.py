"""The register: every statement of the standards and of the gateways' contracts, and the tests that show it."""
