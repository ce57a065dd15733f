package dossier

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
)

// synthetic is a Store whose parts are made up as they are read and whose
// packages are only counted, so that a million records need no emulator and no
// memory of their own.
type synthetic struct {
	lines, chunks int // records in each chunk
	mu            sync.Mutex
	state         []byte
	bytes         int64
	chunk         []byte // every chunk holds the same records
	keep          bool   // the pieces
	pieces        [][]byte
}

func newSynthetic(records, perChunk int) *synthetic {
	s := &synthetic{lines: perChunk, chunks: records / perChunk}
	for i := range perChunk {
		line, _ := json.Marshal(Record{"messages", map[string]any{
			"id": fmt.Sprintf("%08d", i), "at": time.Unix(int64(i), 0).UTC().Format(time.RFC3339), "from": "agent",
			"text": fmt.Sprintf("Message %d of a long conversation, with some words that differ: %x.", i, rand.New(rand.NewPCG(uint64(i), 1)).Uint64()),
		}})
		s.chunk = append(append(s.chunk, line...), '\n')
	}
	return s
}

func (s *synthetic) Part(_ context.Context, _, _ string, chunk int) (*Part, error) {
	sum := sha256.Sum256(s.chunk)
	return &Part{
		Records: Object{Key: fmt.Sprint("chunk", chunk), Bytes: int64(len(s.chunk)), SHA256: hex.EncodeToString(sum[:])},
		Counts:  map[string]int{"messages": s.lines},
	}, nil
}

func (s *synthetic) Uploaded(ctx context.Context, _, _, _ string) (*Part, error) {
	return s.Part(ctx, "", "", 0)
}

func (s *synthetic) ReadAt(_ context.Context, _ string, p []byte, offset int64) error {
	copy(p, s.chunk[offset:])
	return nil
}

func (s *synthetic) State(context.Context, string, string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == nil {
		return nil, errs.New(errs.NotFound, "none")
	}
	return s.state, nil
}

func (s *synthetic) PutState(_ context.Context, _, _ string, state []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.state = append(s.state[:0], state...)
	return nil
}

func (s *synthetic) Begin(context.Context, string, string) (string, error) { return "upload", nil }

func (s *synthetic) Upload(_ context.Context, _, _, _ string, n int, body []byte) (string, error) {
	s.bytes += int64(len(body))
	if s.keep {
		s.pieces = append(s.pieces[:n-1], append([]byte(nil), body...))
	}
	return fmt.Sprint("tag", n), nil
}

func (s *synthetic) Finish(context.Context, string, string, string, []string, int64) error {
	return nil
}

// reader is the package.
func (s *synthetic) all() []byte {
	var all []byte
	for _, p := range s.pieces {
		all = append(all, p...)
	}
	return all
}

var received = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func input(chunks int) Input {
	return Input{
		Request: &request.Request{ID: "0190a8c0-0000-7000-8000-000000000001", Type: request.Access, Regime: request.GDPR, Received: received},
		Controller: request.Controller{
			Name: "Muster & Söhne GmbH", Address: "Hauptstraße 1, 10115 Berlin", DPO: request.Contact{Name: "Dr. Ada Beispiel", Email: "dpo@muster.example"},
			Authority: connector.Text{"en": "Berlin Commissioner for Data Protection", "fr": "Commissaire à la protection des données de Berlin"},
		},
		Systems: []connector.Inventory{desk},
		Steps:   []request.Step{{System: "desk", Operation: connector.Export, Phase: request.Finished, Chunk: chunks}},
	}
}

var desk = connector.Inventory{
	System: "desk", Kind: "refdesk", Title: connector.Text{"en": "Customer service", "fr": "Service client"},
	Data: []connector.Category{{
		Name:      connector.Text{"en": "Conversations with our customer service", "fr": "Échanges avec notre service client"},
		Purpose:   connector.Text{"en": "To answer your questions", "fr": "Répondre à vos questions"},
		Retention: connector.Text{"en": "Two years after the last message", "fr": "Deux ans après le dernier message"},
		Basis:     connector.Text{"en": "Contract (Art. 6(1)(b) GDPR)", "fr": "Contrat (art. 6, par. 1, point b, RGPD)"},
	}},
	Recipients: []connector.Text{{"en": "Our customer service in Berlin", "fr": "Notre service client à Berlin"}},
	Source:     connector.Text{"en": "You, when you write to us", "fr": "Vous, lorsque vous nous écrivez"},
	Processor:  &connector.Processor{Name: "Refdesk Inc.", DPA: "2026-01-15", Clauses: "SCC 2021/914, module 2"},
	Region:     "US", Transfer: "Art. 46(2)(c) GDPR, SCC 2021/914", Backups: connector.Text{"en": "35 days", "fr": "35 jours"},
	Does: []connector.Operation{connector.Export}, Portable: true,
}

func clock() time.Time { return time.Date(2026, 3, 9, 14, 5, 0, 0, time.UTC) }

var _ io.Writer = (*zipper)(nil)
