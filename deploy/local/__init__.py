"""The whole stack on one machine: an embedded Postgres and nats-server, the services and the carrier simulator."""
