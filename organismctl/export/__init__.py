"""What other tools are given of an organism: rules, routes, dashboards, units; one file a kind."""
