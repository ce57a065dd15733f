package snippet_test

import (
	"slices"
	"testing"
	"time"
)

const (
	slower  = 4                      // than this machine's processor
	settled = 300 * time.Millisecond // for an answer: asking the page for it would be work of the page
)

// works are what keeps the main thread busy, with goals in milliseconds.
var works = [...]struct {
	name string
	goal int
}{{"load", 5}, {"load, with what waits until the page is idle", 5}, {"submission", 10}}

// TestSpeed prints for how long the script keeps the main thread busy: when a page loads and a form is armed, and when the
// form is submitted, up to the answer, each for the first time in its tab. What the same page takes without the script, and
// what pressing its button takes, is not counted. It asserts no time, only that the work was done.
func TestSpeed(t *testing.T) {
	const runs = 21
	var all [len(works)][]float64
	for range runs {
		r := newRecorder(t)
		with := work(t, r, "")
		r.one()
		without := work(t, r, `src="/empty.js"`)
		for i := range all {
			all[i] = append(all[i], slower*(with[i]-without[i]))
		}
	}
	for i, w := range works {
		slices.Sort(all[i])
		t.Logf("main thread on a %dx slower processor, %s: %.1f ms, the least %.1f (goal %d)", slower, w.name, all[i][runs/2], all[i][0], w.goal)
	}
}

// work is how long scripts take when a page with a form loads, and when its form is submitted.
func work(t testing.TB, r *recorder, tag string) (took [len(works)]float64) {
	s := site{
		before: `window.fetch = realFetch; var avow = {cons_instructions: [], load: function () {}};`,
		tag:    tag,
		body:   newsletter,
		after:  watched + `form.addEventListener("submit", event => { event.preventDefault(); document.title = "sent"; });`,
	}
	tab := chromium.Tab(t)
	defer tab.Close()
	url := s.serve(t, r.URL)
	tab.Open(url + "/next")
	took[0] = tab.Busy(func() { tab.Open(url) })
	took[1] = took[0] + tab.Busy(func() { time.Sleep(settled) })
	tab.Type("#mail", "ada@example.test")
	tab.Click("#news")
	took[2] = tab.Busy(func() { tab.Click("#go"); time.Sleep(settled) })
	quiet(t, tab)
	return took
}
