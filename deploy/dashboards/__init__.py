"""Grafana's dashboards: `python -m deploy.dashboards` writes them into the chart."""
