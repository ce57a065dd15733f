package asl

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
)

// items is a Map at work.
type items struct {
	t       *thread
	s       *State
	data    any
	list    []any
	results []any
	threads []*thread
	running int
	ended   int
	over    bool
	end     func(any, *Failure)
}

// mapItems begins a Map: as many items at once as MaxConcurrency allows (AWS: 40
// when it is 0), the next one when one has ended.
func (t *thread) mapItems(ctx context.Context, s *State, data any, end func(any, *Failure)) {
	v := data
	if s.ItemsPath != "" {
		p, err := parsePath(s.ItemsPath)
		if err != nil {
			end(nil, runtimeFailure(err))
			return
		}
		v, _ = p.get(data, t.context(s, nil))
	}
	list, ok := v.([]any)
	if !ok {
		end(nil, runtimeFailure(fmt.Errorf("%s is no list", s.ItemsPath)))
		return
	}
	m := &items{t: t, s: s, data: data, list: list, results: make([]any, len(list)), end: end}
	t.items = m
	t.x.record("MapStateStarted", t.prefix+t.state, map[string]any{"length": json.Number(strconv.Itoa(len(list)))})
	m.more()
}

func (m *items) more() {
	limit := m.s.MaxConcurrency
	if limit == 0 {
		limit = 40
	}
	for !m.over && !m.t.over() && m.running < limit && len(m.threads) < len(m.list) {
		m.startItem(len(m.threads))
	}
	if m.ended == len(m.list) && !m.over {
		m.over = true
		m.t.x.record("MapStateSucceeded", m.t.prefix+m.t.state, nil)
		m.end(m.results, nil)
	}
}

func (m *items) startItem(i int) {
	where := m.t.prefix + m.t.state
	inner := &thread{x: m.t.x, in: m.s.ItemProcessor, prefix: where + "/"}
	inner.item = map[string]any{"Item": map[string]any{"Index": json.Number(strconv.Itoa(i)), "Value": m.list[i]}}
	inner.done = func(output any) {
		m.t.x.record("MapIterationSucceeded", where, nil)
		m.results[i] = output
		m.running--
		m.ended++
		inner.dead = true
		m.more()
	}
	inner.fail = func(f *Failure) {
		m.t.x.record("MapIterationFailed", where, nil)
		inner.kill()
		m.abort(f)
	}
	m.running++
	m.threads = append(m.threads, inner)
	m.t.x.record("MapIterationStarted", where, nil)
	input, err := m.list[i], error(nil)
	if m.s.ItemSelector != nil {
		in := m.t.context(m.s, nil).(map[string]any)
		in["Map"] = inner.item
		input, err = fill(m.s.ItemSelector, m.data, in)
	}
	if err != nil {
		inner.fail(runtimeFailure(err))
		return
	}
	m.t.x.e.after(0, inner.over, func(ctx context.Context) { inner.enter(ctx, m.s.ItemProcessor.StartAt, input) })
}

// abort ends the Map because one item has failed.
func (m *items) abort(f *Failure) {
	if m.over {
		return
	}
	m.over = true
	for _, other := range m.threads {
		if !other.over() {
			m.t.x.record("MapIterationAborted", m.t.prefix+m.t.state, nil)
			other.kill()
		}
	}
	m.t.x.record("MapStateFailed", m.t.prefix+m.t.state, f.detail())
	m.end(nil, f)
}

func (m *items) kill() {
	m.over = true
	for _, inner := range m.threads {
		inner.kill()
	}
}
