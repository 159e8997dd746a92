"""The committee that ships with the tool: machine, driver, ledger, carriers, node and its API."""
