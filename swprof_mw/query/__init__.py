"""A client of SkyWalking's GraphQL query protocol, and what its answers say of profiles."""
