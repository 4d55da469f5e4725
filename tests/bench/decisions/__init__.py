"""Small measurements that decided between libraries; the records in docs/adr/ quote them."""
