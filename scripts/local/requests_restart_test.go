package main

import (
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/avow-consent/avow/internal/request"
)

// The whole stack ends in the middle of every kind of work and is started again.
// The engine has forgotten its executions by then; requests go on where they
// were and end as if nothing had happened.
func TestRequests_restart(t *testing.T) {
	if testing.Short() {
		t.Skip("runs with make test-full")
	}
	t.Parallel()
	for name, stop := range map[string]func(*testing.T, *process){
		"stopped": func(t *testing.T, p *process) { p.stop(t, syscall.SIGTERM) },
		// The emulator of a stack that was killed saves and ends by itself.
		"killed": func(t *testing.T, p *process) {
			if err := p.cmd.Process.Signal(os.Kill); err != nil {
				t.Fatal(err)
			}
			<-p.done
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			restart(t, stop)
		})
	}
}

// stage is where a request stands when everything stops.
type stage struct {
	person person
	kind   request.Type
	reach  []request.State // "": as soon as it is opened
	act    bool            // people have worked on it so far
	id     string
	ids    []string
}

func restart(t *testing.T, stop func(*testing.T, *process)) {
	c := checkout(t)
	s := shop{process: launch(t, c, "-policy", "fast")}
	stages := []*stage{
		{person: customer(0), kind: request.Erasure, reach: []request.State{request.Answered, request.Reverifying}, act: true},
		{person: customer(2), kind: request.Erasure, reach: []request.State{request.Running, request.WaitingOperator}, act: true},
		{person: customer(4), kind: request.Access, reach: []request.State{request.Running, request.WaitingOperator}, act: true},
		{person: customer(6), kind: request.Access, reach: []request.State{request.WaitingApproval}},
		{person: customer(8), kind: request.Erasure, reach: []request.State{request.WaitingApproval}},
		{person: customer(10), kind: request.Objection},
	}
	for _, one := range stages {
		one.ids = s.consents(t, one.person)
		one.id = s.open(t, one.kind, one.person, nil)
	}
	for _, one := range stages {
		one.standing(t, s)
	}
	form := customer(12) // a person who has not confirmed yet, and has two minutes for it
	s.form(t, request.Access, form, nil)
	unconfirmed := s.mine(t, form)
	confirm := link(s.letter(t, unconfirmed, form.email, "Please confirm your request"))
	before := s.Info
	stop(t, s.process)

	s = shop{process: launch(t, c, "-policy", "fast")}
	if s.API != before.API || s.Mail != before.Mail || s.Site != before.Site {
		t.Errorf("the stack is another one: %+v, before %+v", s.Info, before)
	}
	if got := s.press(t, confirm); got.Status != 200 {
		t.Errorf("the link of before the restart: %d %s", got.Status, got.Body)
	}
	stages = append(stages, &stage{person: form, kind: request.Access, id: unconfirmed})
	var open []string
	for _, one := range stages {
		open = append(open, one.id)
	}
	s.finish(t, open)
	for _, one := range stages {
		if got := s.show(t, one.id).Text("state"); got != string(request.Closed) {
			t.Errorf("the request for %s that was %v is %s", one.kind, one.reach, got)
		}
		s.forgotten(t, one.id, one.person)
		if one.kind == request.Erasure {
			s.gone(t, one.person, one.ids)
			s.certificate(t, one.id, one.person)
		}
	}
	s.stop(t, os.Interrupt)
}

// standing brings a request to where it is to stand.
func (o *stage) standing(t *testing.T, s shop) {
	t.Helper()
	if o.reach == nil {
		return
	}
	eventually(t, "request is "+string(o.reach[0]), func() bool {
		seen := s.show(t, o.id)
		state := request.State(seen.Text("state"))
		if slices.Contains(o.reach, state) {
			return true
		}
		if o.act {
			s.work(t, o.id, seen)
		}
		return false
	})
}

// Twenty people ask at once, by every door and for everything.
func TestRequests_twentyAtOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("runs with make test-full")
	}
	t.Parallel()
	s := shop{process: launch(t, checkout(t), "-policy", "fast")}
	kinds := []request.Type{request.Erasure, request.Access, request.Objection, request.Portability, request.Restriction}
	requests := make([]string, 20)
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			p := customer(n)
			s.consents(t, p)
			requests[n] = s.open(t, kinds[n%len(kinds)], p, nil)
		})
	}
	all.Wait()
	for n, id := range requests {
		if id == "" {
			t.Fatalf("request %d was not opened", n)
		}
	}
	s.finish(t, requests)
	for n, id := range requests {
		p := customer(n)
		if got := s.show(t, id).Text("state"); got != string(request.Closed) {
			t.Errorf("request %d, %s, is %s", n, kinds[n%len(kinds)], got)
		}
		s.forgotten(t, id, p)
		if kinds[n%len(kinds)] == request.Erasure {
			s.certificate(t, id, p)
		}
	}
}
