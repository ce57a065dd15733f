package conformance

import (
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/identity"
	"github.com/avow-consent/avow/internal/redact"
)

// By is an identifier that the person has proven.
func By(kind identity.Kind, value string) identity.Identifier {
	return identity.Identifier{Kind: kind, Value: redact.String(value), Trust: identity.Proven}
}

// Person is who has proven an e-mail.
func Person(email string) connector.Subject {
	return connector.Subject{Site: "s", Identifiers: []identity.Identifier{By(identity.Email, email)}}
}
