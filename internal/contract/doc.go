// Package contract holds docs/openapi.yaml and the product to each other: its
// tests send HTTP requests through the local API Gateway to the real components
// and check every request and every answer against that file.
package contract
