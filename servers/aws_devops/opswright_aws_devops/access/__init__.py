"""Who may do what: roles of services, and policies of resources."""
