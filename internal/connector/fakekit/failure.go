package fakekit

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// Failure makes calls fail that would have succeeded.
type Failure struct {
	Method  string        `json:"method"` // "": any
	Route   string        `json:"route"`  // "/users/{id}"; "": any
	Times   int           `json:"times"`  // 0: for ever
	Status  int           `json:"status"`
	After   time.Duration `json:"-"`       // Retry-After; 0: none
	Seconds float64       `json:"seconds"` // After, for /_fake/fail
	Form    string        `json:"form"`    // of Retry-After: "seconds", "http", "iso"; "": the vendor's, one after the other
	HTML    bool          `json:"html"`    // with a page instead of JSON
	Applied bool          `json:"applied"` // the call is carried out all the same
}

// Fail adds a failure.
func (s *Server) Fail(f Failure) {
	s.Lock()
	defer s.Unlock()
	s.failures = append(s.failures, f)
}

// Mend ends all failures.
func (s *Server) Mend() {
	s.Lock()
	defer s.Unlock()
	s.failures = nil
}

// failing is the failure that a call meets, nil for none.
func (s *Server) failing(call Call) *Failure {
	for i := range s.failures {
		f := s.failures[i]
		if f.Method != "" && f.Method != call.Method || f.Route != "" && f.Route != call.Route {
			continue
		}
		if f.Times == 1 {
			s.failures = slices.Delete(s.failures, i, i+1)
		} else if f.Times > 1 {
			s.failures[i].Times--
		}
		return &f
	}
	return nil
}

// slowDown answers with a failure. The page quotes nobody, but a client must
// not count on that.
func (s *Server) slowDown(w http.ResponseWriter, f Failure) {
	if f.After > 0 {
		form := f.Form
		if form == "" && len(s.r.Forms) > 0 {
			form = s.r.Forms[len(s.calls)%len(s.r.Forms)]
		}
		at := s.Time().Add(f.After).UTC()
		if value := map[string]string{
			"seconds": strconv.Itoa(int((f.After + time.Second - 1) / time.Second)),
			"http":    at.Format(http.TimeFormat),
			"iso":     at.Format(time.RFC3339),
		}[form]; value != "" {
			w.Header().Set("Retry-After", value)
		}
	}
	if f.HTML || s.r.Pages && f.Status == http.StatusTooManyRequests && len(s.calls)%2 == 0 {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(f.Status)
		fmt.Fprintf(w, "<!doctype html><title>%d</title><p>Please come back later.", f.Status)
		return
	}
	write(w, f.Status, s.r.Busy(f.Status))
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request) {
	var f Failure
	if err := json.NewDecoder(r.Body).Decode(&f); err != nil || f.Status < 400 {
		write(w, 400, map[string]string{"error": `a failure is {"status":503,…}, see fakekit.Failure`})
		return
	}
	f.After = time.Duration(f.Seconds * float64(time.Second))
	s.Fail(f)
	write(w, 204, nil)
}

func (s *Server) advance(w http.ResponseWriter, r *http.Request) {
	var by struct {
		Seconds float64 `json:"seconds"`
	}
	if err := json.NewDecoder(r.Body).Decode(&by); err != nil || by.Seconds < 0 {
		write(w, 400, map[string]string{"error": `a time is {"seconds":60}, and never backwards`})
		return
	}
	s.Advance(time.Duration(by.Seconds * float64(time.Second)))
	write(w, 200, map[string]time.Time{"now": s.Now()})
}
