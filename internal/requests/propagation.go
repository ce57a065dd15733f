package requests

import (
	"context"
	"net/http"
	"time"

	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/wire"
)

// window is how far back the figures of the outbox go.
const window = 30 * 24 * time.Hour

// figures tells what has become of what had to be told.
type figures interface {
	Figures(ctx context.Context, site string, names []outbox.Ref, since time.Time) ([]outbox.Figure, error)
}

type propagationView struct {
	Since string       `json:"since"`
	Items []figureView `json:"items"`
}

type figureView struct {
	Kind     outbox.Kind   `json:"kind"`
	System   *string       `json:"system"`
	Told     int           `json:"told"`
	P50      int64         `json:"p50_ms"`
	P99      int64         `json:"p99_ms"`
	Waiting  int           `json:"waiting"`
	Oldest   *string       `json:"oldest"`
	Failed   int           `json:"failed"`
	Failures []failureView `json:"failures"`
	More     bool          `json:"more"`
}

type failureView struct {
	At      string `json:"at"`
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
}

// propagation is GET /propagation: how soon vendors and people hear of what
// stands in the ledger, and what they have not heard.
func (s *server) propagation(w http.ResponseWriter, r *http.Request) error {
	names := []outbox.Ref{{Kind: outbox.Change}, {Kind: outbox.Confirm}, {Kind: outbox.Message}, {Kind: outbox.Preferences}}
	for _, one := range s.terms.Systems {
		if len(one.Marks) > 0 {
			names = append(names, outbox.Ref{Kind: outbox.Mark, ID: one.Name})
		}
	}
	since := s.now().Add(-window)
	list, err := s.figures.Figures(r.Context(), siteOf(r).ID, names, since)
	if err != nil {
		return err
	}
	v := propagationView{Since: wire.Time(since), Items: []figureView{}}
	for _, f := range list {
		one := figureView{
			Kind: f.Kind, System: optional(f.System), Told: f.Told, P50: f.P50.Milliseconds(), P99: f.P99.Milliseconds(),
			Waiting: f.Waiting, Failed: f.Failed, Failures: []failureView{}, More: f.More,
		}
		if !f.Oldest.IsZero() {
			one.Oldest = optional(wire.Time(f.Oldest))
		}
		for _, lost := range f.Failures {
			one.Failures = append(one.Failures, failureView{wire.Time(lost.At), lost.Subject, lost.Reason})
		}
		v.Items = append(v.Items, one)
	}
	return httpapi.WriteJSON(w, v)
}
