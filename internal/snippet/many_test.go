package snippet_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/snippet/browser"
)

// TestMany sends consents from several tabs while the network comes and goes, the API refuses and answers into the
// void, pages are left, tabs are opened, closed and killed: each is in the ledger, once. A sample, and 10,000 with
// AVOW_LONG set (make soak).
func TestMany(t *testing.T) {
	t.Parallel()
	n := 300
	if os.Getenv("AVOW_LONG") != "" {
		n = 10_000
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	c := &crowd{t: t, dice: rand.New(rand.NewPCG(seed, 0)), ledger: newLedger(t)}
	c.url = site{
		body: `<form id="f"><input name="mail"><input type="checkbox" name="news"></form>`,
		after: c.ledger.started() + `
function burst(from, to) {
  var mail = document.forms[0].mail;
  for (var i = from; i < to; i++) {
    mail.value = "person" + i + "@example.test";
    avow.submit({form: {selector: "f", map: {subject: {email: "mail"}, preferences: {news: "news"}}}});
  }
}`,
	}.serve(t, c.ledger.URL)
	c.profile = chromium.Tab(t)
	begun := time.Now()
	for c.sent < n {
		c.step(min(n-c.sent, 1+c.dice.IntN(30)))
	}
	c.drain(0)
	people := c.ledger.partitions()
	doubled := 0
	for _, rows := range people {
		doubled += rows - 1
	}
	t.Logf("%d submissions, %d posts, in %v: %d records, %d doubled, %d lost", n, c.ledger.postCount(), time.Since(begun).Round(time.Second), len(people), doubled, n-len(people))
	if len(people) != n || doubled != 0 {
		t.Error("want one record of each submission")
	}
}

// crowd is the tabs of one browser and what happens to them.
type crowd struct {
	t       *testing.T
	dice    *rand.Rand
	ledger  *ledger
	url     string
	profile *browser.Tab // holds the profile open
	tabs    []*browser.Tab
	opened  []time.Time
	sent    int

	watcher  *browser.Tab // looks into the storage
	watching time.Time
}

func (c *crowd) chance(percent int) bool { return c.dice.IntN(100) < percent }

func (c *crowd) open() {
	tab := c.profile.Beside()
	tab.Open(c.url)
	c.tabs, c.opened = append(c.tabs, tab), append(c.opened, time.Now())
}

func (c *crowd) drop(i int) {
	c.tabs, c.opened = append(c.tabs[:i], c.tabs[i+1:]...), append(c.opened[:i], c.opened[i+1:]...)
}

// step lets some people send the form in one tab, after or before something has happened.
func (c *crowd) step(people int) {
	if len(c.tabs) == 0 || (len(c.tabs) < 4 && c.chance(10)) {
		c.open()
	}
	i := c.dice.IntN(len(c.tabs))
	tab := c.tabs[i]
	if c.chance(20) {
		tab.Offline(c.chance(50))
	}
	c.ledger.trouble(c.chance(20), func() meddler {
		switch {
		case c.chance(10):
			return noAnswer
		case c.chance(10):
			return answerLost
		}
		return func(w http.ResponseWriter, r *http.Request, api http.Handler) { api.ServeHTTP(w, r) }
	})
	tab.Script(fmt.Sprintf("burst(%d, %d)", c.sent, c.sent+people))
	c.sent += people
	switch old := time.Since(c.opened[i]) > browser.Patience/2; {
	case c.chance(10): // a reload in the middle
		tab.Offline(false)
		tab.Open(c.url)
	case c.chance(5) || old:
		tab.Close()
		c.drop(i)
	case c.chance(3):
		tab.Kill()
		c.drop(i)
	}
	if c.kept() > 300 { // the store is bounded
		c.drain(100)
	}
}

// kept is how many consents wait in the browser.
func (c *crowd) kept() int {
	var n int
	fmt.Sscan(c.look(`String(Object.keys(localStorage).length)`), &n)
	return n
}

// look runs a script on a page of the site that has not loaded avow.js.
func (c *crowd) look(script string) string {
	if c.watcher == nil || time.Since(c.watching) > browser.Patience/2 {
		if c.watcher != nil {
			c.watcher.Close()
		}
		c.watcher, c.watching = c.profile.Beside(), time.Now()
		c.watcher.Open(c.url + "/next")
	}
	return browser.Eval[string](c.watcher, script)
}

// drain gives the network back and waits until no more than so many wait.
func (c *crowd) drain(most int) {
	c.ledger.trouble(false, nil)
	if len(c.tabs) == 0 {
		c.open()
	}
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		for _, tab := range c.tabs {
			tab.Offline(false)
			tab.Script(`dispatchEvent(new Event("online"))`) // do not wait for the next attempt
		}
		kept := c.kept()
		if kept <= most {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("%d consents still wait: %s", kept, c.look(`JSON.stringify(Object.entries(localStorage))`))
		}
	}
}

// trouble decides what happens to the next posts.
func (l *ledger) trouble(isDown bool, next func() meddler) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.isDown, l.meddle = isDown, nil
	for range 50 {
		if next != nil {
			l.meddle = append(l.meddle, next())
		}
	}
}

func (l *ledger) postCount() int { l.mu.Lock(); defer l.mu.Unlock(); return l.posts }
