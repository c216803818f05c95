"""The Envoy door: gRPC `envoy.service.auth.v3.Authorization/Check`, on two servers behind one codec."""
