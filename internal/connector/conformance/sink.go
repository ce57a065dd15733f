package conformance

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"

	"github.com/avow-consent/avow/internal/errs"
)

// Part is one record or file of an export, by its digest.
type Part struct {
	Kind, Name, MediaType, Digest string
	Size                          int64
}

// Sink keeps what an export writes the way the engine does: what a failed step
// has written is replaced by its repetition.
type Sink struct {
	Parts   []Part
	pending *attempt
}

type attempt struct{ parts []Part }

func (s *Sink) begin() *attempt {
	s.pending = &attempt{}
	return s.pending
}

func (s *Sink) commit() {
	if s.pending != nil {
		s.Parts = append(s.Parts, s.pending.parts...)
	}
	s.pending = nil
}

// Record implements connector.Sink.
func (a *attempt) Record(kind string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return errs.New(errs.Internal, "a record of kind %s cannot be encoded", kind)
	}
	sum := sha256.Sum256(text)
	a.parts = append(a.parts, Part{Kind: kind, Digest: hex.EncodeToString(sum[:]), Size: int64(len(text))})
	return nil
}

// File implements connector.Sink.
func (a *attempt) File(_ context.Context, name, mediaType string, r io.Reader) error {
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return err
	}
	a.parts = append(a.parts, Part{Kind: "file", Name: name, MediaType: mediaType, Digest: hex.EncodeToString(h.Sum(nil)), Size: n})
	return nil
}
