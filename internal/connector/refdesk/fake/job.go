package fake

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/avow-consent/avow/internal/connector/fakekit"
)

// Job is work that takes the vendor a while.
type Job struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // export, purge
	User      string    `json:"user"`
	Reference string    `json:"reference,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ReadyAt   time.Time `json:"ready_at"`
	Status    string    `json:"status"`
	File      string    `json:"file,omitempty"`
}

// seen is a job with the status that it has by now.
func (s *Server) seen(j Job) Job {
	j.Status = "working"
	switch now := s.Time(); {
	case !now.Before(j.ReadyAt):
		j.Status = "completed"
	case now.Before(j.CreatedAt.Add(j.ReadyAt.Sub(j.CreatedAt) / 10)):
		j.Status = "queued"
	}
	return j
}

func (s *Server) jobView(j Job) map[string]any {
	j = s.seen(j)
	v := map[string]any{"id": j.ID, "kind": j.Kind, "status": j.Status, "created_at": j.CreatedAt.UTC(), "result_url": nil}
	if j.Status == "completed" && j.Kind == "export" {
		v["result_url"] = "/api/v1/files/" + j.File
	}
	return v
}

func (s *Server) getJob(r *http.Request) (int, any) {
	j := s.data.Jobs[r.PathValue("id")]
	if j == nil {
		return 404, problem("RecordNotFound")
	}
	return 200, map[string]any{"job": s.jobView(*j)}
}

// createExport begins to collect a user's activity. Each call is another job:
// the vendor knows no idempotency key.
func (s *Server) createExport(r *http.Request) (int, any) {
	var body struct {
		User      string `json:"user_id"`
		Reference string `json:"reference"`
	}
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Reference) > 200 {
		return 422, problem("RecordInvalid")
	}
	u := s.data.Users[body.User]
	if u == nil || u.Status == Purged {
		return 404, problem("RecordNotFound")
	}
	now := s.Time()
	file := fakekit.File{ID: "F" + s.Number(), Name: "activity.ndjson", MediaType: "application/x-ndjson"}
	file.Text = `{"event":"login","user":"` + u.ID + `","email":"` + u.Email + `"}` + "\n"
	file.Size = int64(3 * len(file.Text))
	s.data.Files[file.ID] = file
	j := &Job{ID: "J" + s.Number(), Kind: "export", User: u.ID, Reference: body.Reference, CreatedAt: now, ReadyAt: now.Add(s.Lasts(exportJob)), File: file.ID}
	s.data.Jobs[j.ID] = j
	return 202, map[string]any{"job": s.jobView(*j)}
}

func (s *Server) listExports(r *http.Request) (int, any) {
	reference := r.URL.Query().Get("reference")
	if strings.TrimSpace(reference) == "" {
		return 400, problem("QueryMissing")
	}
	list := []map[string]any{}
	for _, id := range slices.Sorted(maps.Keys(s.data.Jobs)) {
		if j := s.data.Jobs[id]; j.Kind == "export" && j.Reference == reference {
			list = append(list, s.jobView(*j))
		}
	}
	return 200, map[string]any{"jobs": list}
}
