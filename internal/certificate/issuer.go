package certificate

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// Requests is what an Issuer reads.
type Requests interface {
	Steps(ctx context.Context, id string) ([]request.Step, error)
	Found(ctx context.Context, id string) ([]request.Found, error)
	Known(ctx context.Context, id string) ([]request.Known, error)
	Log(ctx context.Context, id, after string, limit int) ([]request.Entry, error)
}

// Shelf keeps certificates.
type Shelf interface {
	// PutCertificate keeps a certificate, once: the first one with a serial stays,
	// and is returned.
	PutCertificate(ctx context.Context, request string, serial int, body []byte) (stored []byte, err error)
}

// Issuer issues certificates.
type Issuer struct {
	Requests   Requests
	Shelf      Shelf
	Signer     Signer
	Systems    []request.System
	Controller request.Controller
	HashKey    string // pseudonym.Hasher.KeyID
	// Plan is the plan of a request as of its last locate.
	Plan func(ctx context.Context, r *request.Request) (request.Plan, error)
	Now  func() time.Time
}

// Issue makes, signs and stores the certificate of an erasure as things stand.
// It may be repeated: a serial is issued once, and the first one stays.
func (i *Issuer) Issue(ctx context.Context, r *request.Request, serial int, final bool) (request.CertificateRef, error) {
	f := Facts{
		Request: r, Serial: serial, Final: final, Issued: i.Now(), Controller: i.Controller.Name, HashKey: i.HashKey, Systems: i.Systems,
	}
	if err := i.read(ctx, &f); err != nil {
		return request.CertificateRef{}, err
	}
	c, err := Make(f)
	if err != nil {
		return request.CertificateRef{}, err
	}
	text, err := Sign(ctx, i.Signer, c)
	if err != nil {
		return request.CertificateRef{}, err
	}
	if text, err = i.Shelf.PutCertificate(ctx, r.ID, serial, text); err != nil {
		return request.CertificateRef{}, err
	}
	stored, signed, err := Parse(text) // of an earlier attempt, perhaps
	if err != nil {
		return request.CertificateRef{}, errs.Wrap(errs.Internal, err, "reading the certificate that is stored")
	}
	at, err := time.Parse(time.RFC3339, stored.Issued)
	if err != nil {
		return request.CertificateRef{}, errs.Wrap(errs.Internal, err, "reading the certificate that is stored")
	}
	return request.CertificateRef{Serial: serial, Digest: signed.Statement.SHA256, At: at, Final: stored.Final}, nil
}

func (i *Issuer) read(ctx context.Context, f *Facts) (err error) {
	id := f.Request.ID
	if f.Steps, err = i.Requests.Steps(ctx, id); err != nil {
		return err
	}
	if f.Found, err = i.Requests.Found(ctx, id); err != nil {
		return err
	}
	if f.Known, err = i.Requests.Known(ctx, id); err != nil {
		return err
	}
	if f.Plan, err = i.Plan(ctx, f.Request); err != nil {
		return err
	}
	const atOnce = 500
	for after := ""; ; after = f.Log[len(f.Log)-1].ID {
		entries, err := i.Requests.Log(ctx, id, after, atOnce)
		if err != nil || len(entries) == 0 {
			return err
		}
		f.Log = append(f.Log, entries...)
		if len(entries) < atOnce {
			return nil
		}
	}
}
