"""What `compound serve` keeps up under load, overload, slow clients and nonsense."""
