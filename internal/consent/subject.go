package consent

import (
	"context"
	"time"

	"github.com/avow-consent/avow/internal/redact"
)

// SubjectStatement is what the company's back end says about a subject.
type SubjectStatement struct {
	IdempotencyKey string
	SubjectID      redact.String // "" to have one made
	Profile        Profile
}

func (s *SubjectStatement) digest() [32]byte {
	d := newDigest("avow/subject/v1")
	d.text(s.SubjectID.Reveal())
	d.profile(&s.Profile)
	return d.sum()
}

// RecordSubject puts a statement about a subject into the ledger, under the
// same rules of identity and retry as Record.
func (r *Recorder) RecordSubject(ctx context.Context, p Policy, s *SubjectStatement) (Acknowledgement, error) {
	received := r.now().UTC().Truncate(time.Millisecond)
	at, key, err := keyTime(p, s.IdempotencyKey, received, r.newID)
	if err != nil {
		return Acknowledgement{}, err
	}
	e := &Event{
		Kind: KindSubject, Site: p.Site, Source: Private, Act: API,
		Claimed: earliest(at, received), Received: received,
		Profile: s.Profile, Request: s.digest(),
	}
	r.identify(e, s.SubjectID, key)
	e.ID = r.hasher.ID(at, "subject", e.Site, e.SubjectID.Reveal(), key)
	return r.append(ctx, e)
}
