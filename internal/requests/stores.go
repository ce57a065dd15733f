package requests

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/letter"
	"github.com/avow-consent/avow/internal/request"
)

// Flow runs the state machine of a request.
type Flow interface {
	// Start begins a run; the same name again is the same run. A name whose run
	// has ended is a Conflict.
	Start(ctx context.Context, request, name string) (execution string, err error)
	// Alive reports whether a run has not ended; one that is not known has.
	Alive(ctx context.Context, execution string) (bool, error)
	// Succeed completes the wait that a token stands for. false: too late.
	Succeed(ctx context.Context, token, outcome string) (delivered bool, err error)
}

// Outside is what the doors call beyond the tables. A test gives its own.
type Outside struct {
	Flow     Flow
	Mailer   request.Mailer
	Plans    Plans
	Packages Packages
	Signer   Signer
}

// post sends letters to the person: request.Postman.
type post interface {
	Send(ctx context.Context, r *request.Request, kind letter.Kind, occasion string, d letter.Data) error
	Arrived(ctx context.Context, request string, kind letter.Kind, occasion string) (out, settled bool, err error)
}

// amender takes objections.
type amender interface {
	Append(ctx context.Context, a consent.Amendment) (id string, err error)
}

// Plans derives what will be asked of which system.
type Plans interface {
	Plan(ctx context.Context, r *request.Request) (request.Plan, error)
}

// Packages keeps what comes out.
type Packages interface {
	// Download is an address that works for valid.
	Download(ctx context.Context, r *request.Request, valid time.Duration) (url string, err error)
	// UploadSink is where files that a person has found by hand are written. Name is
	// the digest of them: written again, they are the same.
	UploadSink(ctx context.Context, request, system, name string) (request.Part, error)
	// Certificate reads a certificate; NotFound.
	Certificate(ctx context.Context, request string, serial int) ([]byte, error)
}

// Signer knows the key that signs certificates.
type Signer interface {
	PublicKey(ctx context.Context) (keyID string, key ed25519.PublicKey, err error)
}
