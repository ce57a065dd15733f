package fake

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"
)

// Job is work that takes the vendor a while.
type Job struct {
	ID        string    `json:"id"`
	Kind      string    `json:"kind"` // trash, purge
	Tickets   []int64   `json:"tickets"`
	CreatedAt time.Time `json:"created_at"`
	Done      bool      `json:"done"`
	Killed    bool      `json:"killed"`
	Results   any       `json:"results"`
}

// The kinds of a Job.
const (
	trashJob = "trash"
	purgeJob = "purge"
)

// begin queues a job. Too many at a time are refused.
func (s *Server) begin(kind string, ids []int64) (int, any) {
	waiting := 0
	for _, j := range s.data.Jobs {
		if !j.Done {
			waiting++
		}
	}
	if waiting >= MaxJobs {
		return 429, problem("TooManyJobs", "too many jobs are queued or running")
	}
	j := &Job{ID: fmt.Sprintf("V3-%032x", s.number()), Kind: kind, Tickets: ids, CreatedAt: s.Time()}
	s.data.Jobs[j.ID] = j
	return 200, map[string]any{"job_status": s.jobView(j)}
}

func (s *Server) deleteTickets(r *http.Request) (int, any) {
	ids, ok := idsOf(r)
	if !ok {
		return tooMany()
	}
	return s.begin(trashJob, ids)
}

func (s *Server) purgeTickets(r *http.Request) (int, any) {
	ids, ok := idsOf(r)
	if !ok {
		return tooMany()
	}
	if !slices.ContainsFunc(ids, func(id int64) bool { return s.data.Tickets[id] != nil && s.data.Tickets[id].State == Trashed }) {
		return notFound()
	}
	return s.begin(purgeJob, ids)
}

// runJobs does the work of the jobs whose time has come.
func (s *Server) runJobs() {
	for _, id := range slices.Sorted(maps.Keys(s.data.Jobs)) {
		j := s.data.Jobs[id]
		if j.Done || s.Time().Before(j.CreatedAt.Add(s.Lasts(jobLasts))) {
			continue
		}
		j.Done = true
		switch {
		case j.Killed:
		case j.Kind == trashJob:
			s.runTrash(j)
		default:
			s.runPurge(j)
		}
	}
}

// runTrash deletes tickets, and says of each how it went.
func (s *Server) runTrash(j *Job) {
	results := []map[string]any{}
	for _, id := range j.Tickets {
		t := s.data.Tickets[id]
		if t == nil || t.State != Live {
			results = append(results, map[string]any{"id": id, "action": "delete", "success": false, "error": "TicketNotFound", "details": "the ticket was deleted already"})
			continue
		}
		s.trash(t)
		results = append(results, map[string]any{"id": id, "action": "delete", "success": true, "status": "Deleted"})
	}
	j.Results = results
}

// runPurge removes deleted tickets for good, with what was attached to them.
func (s *Server) runPurge(j *Job) {
	for _, id := range j.Tickets {
		t := s.data.Tickets[id]
		if t == nil || t.State != Trashed {
			continue
		}
		for _, c := range t.Comments {
			for _, file := range c.Files {
				delete(s.data.Files, file)
			}
		}
		*t = Ticket{ID: t.ID, State: Gone, Requester: t.Requester, GoneAt: t.GoneAt, CreatedAt: t.CreatedAt}
	}
	j.Results = map[string]any{"success": true}
}

func (s *Server) jobView(j *Job) map[string]any {
	v := map[string]any{
		"id": j.ID, "url": "https://example.zendesk.com/api/v2/job_statuses/" + j.ID + ".json", "job_type": "Bulk " + j.Kind, "status": "queued",
		"total": nil, "progress": nil, "message": nil, "results": nil,
	}
	switch {
	case j.Done && j.Killed:
		v["status"] = "killed"
	case j.Done:
		v["status"], v["results"], v["total"], v["progress"], v["message"] = "completed", j.Results, len(j.Tickets), len(j.Tickets), "Completed"
	case !s.Time().Before(j.CreatedAt.Add(s.Lasts(jobQueued))):
		v["status"] = "working"
	}
	return v
}

// getJob shows a job for a day.
func (s *Server) getJob(r *http.Request) (int, any) {
	j := s.data.Jobs[r.PathValue("job_status_id")]
	if j == nil || s.Time().After(j.CreatedAt.Add(jobKept)) {
		return notFound()
	}
	return 200, map[string]any{"job_status": s.jobView(j)}
}

// Kill ends all jobs that are not done without their work.
func (s *Server) Kill() {
	s.Settled(func() {
		for _, j := range s.data.Jobs {
			j.Killed = j.Killed || !j.Done
		}
	})
}
