package requests

import (
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/httpapi"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/request"
)

var errNoTask = errs.New(errs.NotFound, "there is no such task")

// ranks are which role the decision of a task needs.
var ranks = map[request.Act]keys.Rank{
	request.Retry: keys.Operator, request.Done: keys.Operator, request.Accept: keys.Operator, request.Reject: keys.Operator,
	request.Skip: keys.Officer, request.Waive: keys.Officer,
}

// verdict is the body of POST …/tasks/{task}.
type verdict struct {
	Decision request.Act `json:"decision"`
	Why      string      `json:"why"`
	Ground   string      `json:"ground"`
	Evidence document    `json:"evidence"`
	Files    []file      `json:"files"`
}

func (v verdict) check(rank keys.Rank) error {
	least, ok := ranks[v.Decision]
	if !ok {
		return errs.InvalidField("decision", "must be retry, skip, waive, done, accept or reject")
	}
	if !rank.AtLeast(least) {
		return errs.New(errs.Forbidden, "to %s needs a key of the role %s", v.Decision, least)
	}
	if err := sentence("why", v.Why, v.Decision == request.Skip || v.Decision == request.Waive); err != nil {
		return err
	}
	if !v.Evidence.empty() && v.Decision != request.Done {
		return errs.InvalidField("evidence", "belongs to the decision done")
	}
	if len(v.Files) > 0 && (v.Decision != request.Done || !v.Evidence.empty()) {
		return errs.InvalidField("files", "belong to the decision done, and are its evidence: give no other")
	}
	if err := checkFiles(v.Files); err != nil {
		return err
	}
	return sentence("ground", v.Ground, v.Decision == request.Waive)
}

// decide is POST …/tasks/{task}.
func (s *server) decide(w http.ResponseWriter, r *http.Request) error {
	var in verdict
	if _, err := httpapi.DecodeStrict(r, maxUpload, &in); err != nil {
		return err
	}
	if err := in.check(httpapi.CallerOf(r).Key.Rank); err != nil {
		return err
	}
	v := request.Verdict{Decision: in.Decision, By: actorOf(r), Why: in.Why, Ground: in.Ground, Evidence: in.Evidence.digest()}
	if len(in.Files) > 0 {
		v.Evidence, v.Upload = digestsOf(in.Files), nameOf(in.Files)
	}
	return s.act(w, r, func(of *request.Request, now time.Time) (request.Change, error) {
		v.At = now
		return s.judge(r, of, r.PathValue("task"), v, in.Files)
	})
}

// judge reads what a task is about and carries the verdict out on it.
//
// Files are stored before the verdict is: a verdict that is written without them
// would promise what a crash has lost, while files without one count for nothing
// until somebody uploads them again, and go with the request.
func (s *server) judge(r *http.Request, of *request.Request, id string, v request.Verdict, files []file) (request.Change, error) {
	tasks, err := s.store.Tasks(r.Context(), of.ID)
	if err != nil {
		return request.Change{}, err
	}
	i := slices.IndexFunc(tasks, func(t request.Task) bool { return t.ID == id })
	if i < 0 {
		return request.Change{}, errNoTask
	}
	t := &tasks[i]
	if !t.Decided.IsZero() && t.Decision == v.Decision && t.By == v.By && t.Why == v.Why && t.Evidence == v.Evidence {
		return request.Change{}, errDone // said twice
	}
	steps, err := s.store.Steps(r.Context(), of.ID)
	if err != nil {
		return request.Change{}, err
	}
	step := t.Step(steps)
	candidate, err := s.candidate(r, of.ID, t)
	if err != nil {
		return request.Change{}, err
	}
	if (v.Decision == request.Accept || v.Decision == request.Reject) && candidate == nil {
		return request.Change{}, errs.New(errs.Conflict, "the task is not about a candidate")
	}
	entry, decision, err := of.Decide(t, step, candidate, v)
	if err != nil {
		return request.Change{}, err
	}
	if len(files) > 0 && (step == nil || !step.TakesUpload()) {
		return request.Change{}, errs.InvalidField("files", "belong to the export of a system; what shows that something else was done is evidence")
	}
	if len(files) > 0 {
		if err := s.keep(r.Context(), of.ID, t.System, v.Upload, files); err != nil {
			return request.Change{}, err
		}
	}
	c := request.Change{Entries: []request.Entry{entry}, Tasks: []request.Task{*t}, Decision: &decision}
	if step != nil {
		c.Steps = []request.Step{*step}
	}
	if candidate != nil {
		c.Known = []request.Known{*candidate}
	}
	return c, nil
}

// candidate is the identifier that a task asks about; nil when it is about none.
func (s *server) candidate(r *http.Request, id string, t *request.Task) (*request.Known, error) {
	if t.Candidate == "" {
		return nil, nil
	}
	known, err := s.store.Known(r.Context(), id)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(known, func(k request.Known) bool { return k.Key == t.Candidate })
	if i < 0 {
		return nil, errs.New(errs.Conflict, "what the task is about is not known any more")
	}
	return &known[i], nil
}
