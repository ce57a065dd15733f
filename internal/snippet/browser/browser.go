// Package browser drives a real Chromium in tests: it finds it, starts it once, opens clean tabs, and walks through
// the demo site's sign-up as a person would. Where the pages and the API are is the caller's to say, so the same walk
// serves a test against a recorder and one against the whole local stack.
package browser

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Patience is how long everything that happens in one tab may take.
const Patience = 2 * time.Minute

// Find returns the path of Chromium: the environment variable CHROMIUM, else the first usual name in PATH.
func Find() (string, error) {
	if path := os.Getenv("CHROMIUM"); path != "" {
		return exec.LookPath(path)
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("no Chromium: set CHROMIUM or put chromium in PATH")
}

// Browser is a Chromium that starts with the first tab. The zero value is ready; the test's main calls Close.
type Browser struct {
	mu    sync.Mutex
	ctx   context.Context
	close func()
}

func (b *Browser) start() (context.Context, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ctx != nil {
		return b.ctx, nil
	}
	path, err := Find()
	if err != nil {
		return nil, err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path),
		chromedp.NoSandbox,
		chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true),
		chromedp.Flag("disable-component-update", true),
		chromedp.Flag("no-proxy-server", true),
		// A page that is left is gone: kept for the way back, it would go on sending.
		chromedp.Flag("disable-back-forward-cache", true),
		// Nothing outside this machine is looked up, whatever a page or the browser itself asks for.
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
	)
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		stop()
		return nil, fmt.Errorf("starting %s: %w", path, err)
	}
	b.ctx, b.close = ctx, func() { cancel(); stop() }
	return ctx, nil
}

// Close ends the browser, if it was started.
func (b *Browser) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.close != nil {
		b.close()
		b.ctx, b.close = nil, nil
	}
}

// Tab opens a page with a profile of its own. Without a Chromium the test fails when CI is set, and is skipped
// elsewhere.
func (b *Browser) Tab(t testing.TB) *Tab {
	t.Helper()
	parent, err := b.start()
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("a real browser is needed: %v", err)
		}
		t.Skipf("needs a real browser: %v", err)
	}
	return open(t, parent, chromedp.WithNewBrowserContext())
}

// open opens a tab, which lives as long as the test or until it is closed.
func open(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *Tab {
	t.Helper()
	tab := &Tab{t: t}
	ctx, cancel := chromedp.NewContext(parent, append(options, chromedp.WithListener(tab.hear))...)
	if err := chromedp.Do(ctx); err != nil {
		cancel()
		t.Fatalf("opening a tab: %v", err)
	}
	limited, cancelTime := context.WithTimeout(ctx, Patience)
	tab.whole, tab.ctx = ctx, limited
	tab.Close = func() { cancelTime(); cancel() }
	t.Cleanup(tab.Close)
	return tab
}

// Tab is one page of the browser. Its methods fail the test when the browser cannot do what they say.
type Tab struct {
	t     testing.TB
	whole context.Context // lives as long as the tab
	ctx   context.Context // the same with a limit

	// Close closes the tab.
	Close func()

	mu       sync.Mutex
	problems []string
}

// hear collects what a developer would see in red in the console.
func (tab *Tab) hear(event any) {
	var problem string
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		problem = "exception: " + (&chromedp.ExceptionError{ExceptionDetails: e.ExceptionDetails}).Error()
	case *log.EventEntryAdded:
		// Failed requests come under these two sources, and exceptions by an event of their own.
		if s := e.Entry.Source; e.Entry.Level == log.EntryLevelError && s != log.EntrySourceNetwork && s != log.EntrySourceJavascript {
			problem = string(s) + ": " + e.Entry.Text
		}
	case *page.EventJavascriptDialogOpening:
		problem = "dialog: " + e.Message
	}
	if problem != "" {
		tab.mu.Lock()
		defer tab.mu.Unlock()
		tab.problems = append(tab.problems, problem)
	}
}

// Problems returns exceptions, breaches of the content policy and dialogs so far; failed requests are not among them.
func (tab *Tab) Problems() []string {
	tab.mu.Lock()
	defer tab.mu.Unlock()
	return append([]string(nil), tab.problems...)
}

// Do runs chromedp actions that return nothing.
func (tab *Tab) Do(actions ...chromedp.Action[chromedp.Void]) {
	tab.t.Helper()
	tab.must(chromedp.Do(tab.ctx, actions...))
}

func (tab *Tab) must(err error) {
	tab.t.Helper()
	if err != nil {
		tab.t.Fatalf("in the browser: %v; problems: %s", err, strings.Join(tab.Problems(), "; "))
	}
}

// Run runs one chromedp action and returns its value.
func Run[T any](tab *Tab, action chromedp.Action[T]) T {
	tab.t.Helper()
	v, err := chromedp.Run(tab.ctx, action)
	tab.must(err)
	return v
}

// Eval runs a script in the page and returns its value, or that of its promise.
func Eval[T any](tab *Tab, script string) T {
	tab.t.Helper()
	return Run(tab, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
}

// Script runs a script in the page and ignores its value.
func (tab *Tab) Script(script string) { tab.t.Helper(); Eval[chromedp.Void](tab, script) }

// Open loads a page and waits for its load event.
func (tab *Tab) Open(url string) { tab.t.Helper(); tab.Do(chromedp.Navigate(url)) }

// Until waits for a script to be true, on this page or on one that the tab goes to meanwhile.
func (tab *Tab) Until(script string) {
	tab.t.Helper()
	for {
		isTrue, err := chromedp.Run(tab.ctx, chromedp.Evaluate[bool](script))
		if err == nil && isTrue {
			return
		}
		select {
		case <-tab.ctx.Done():
			tab.t.Fatalf("waiting for %s: %v; problems: %s", script, err, strings.Join(tab.Problems(), "; "))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Click clicks with the mouse on the first element that the CSS selector names.
func (tab *Tab) Click(selector string) {
	tab.t.Helper()
	tab.Do(chromedp.Click(chromedp.CSS(selector)))
}

// Type types into a field.
func (tab *Tab) Type(selector, text string) {
	tab.t.Helper()
	tab.Do(chromedp.SendKeys(chromedp.CSS(selector), text))
}

// Text returns the text of an element, shown or not.
func (tab *Tab) Text(selector string) string {
	tab.t.Helper()
	return Run(tab, chromedp.TextContent(chromedp.CSS(selector), chromedp.NodeReady))
}

// Inject makes a script run in every page before the page's own.
func (tab *Tab) Inject(script string) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.ctx, page.AddScriptToEvaluateOnNewDocument,
		page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
	tab.must(err)
}

// Beside opens another tab with the same profile: the same storage, the same locks.
func (tab *Tab) Beside() *Tab { tab.t.Helper(); return open(tab.t, tab.whole) }

// Offline takes the network away from the tab, or gives it back.
func (tab *Tab) Offline(offline bool) {
	tab.t.Helper()
	_, err := chromedp.Call(tab.ctx, network.EmulateNetworkConditionsByRule, network.EmulateNetworkConditionsByRuleParams{
		MatchedNetworkConditions: []*network.Conditions{{Offline: offline, DownloadThroughput: -1, UploadThroughput: -1}},
	})
	tab.must(err)
	_, err = chromedp.Call(tab.ctx, network.OverrideNetworkState, network.OverrideNetworkStateParams{
		Offline: offline, DownloadThroughput: -1, UploadThroughput: -1,
	})
	tab.must(err)
}

// Kill ends the process of the page at once, as a phone does that needs the memory. Nothing can be done with the tab
// afterwards.
func (tab *Tab) Kill() {
	tab.t.Helper()
	ctx, cancel := context.WithTimeout(tab.ctx, 5*time.Second)
	defer cancel()
	_, _ = chromedp.Call(ctx, page.Crash, cdp.Empty{}) // the process that would answer is gone
}

// Busy reports for how long scripts, their compilation included, keep the main thread of the page's process busy while
// something is done, in milliseconds of the thread's own time: neither waiting nor other programs on the same processor
// count. A page that is opened meanwhile has to be of the same site as the one before it.
func (tab *Tab) Busy(do func()) float64 {
	tab.t.Helper()
	_, err := chromedp.Call(tab.ctx, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	tab.must(err)
	// While somebody watches the network, the browser notes for each request which lines of which scripts have made it.
	_, err = chromedp.Call(tab.ctx, network.Disable, cdp.Empty{})
	tab.must(err)
	before := tab.scriptTime()
	do()
	return tab.scriptTime() - before
}

func (tab *Tab) scriptTime() float64 {
	tab.t.Helper()
	r, err := chromedp.Call(tab.ctx, performance.GetMetrics, cdp.Empty{})
	tab.must(err)
	var sum float64
	for _, m := range r.Metrics {
		if m.Name == "ScriptDuration" || m.Name == "V8CompileDuration" {
			sum += 1000 * m.Value
		}
	}
	return sum
}

// Width sets the width of the window in CSS pixels.
func (tab *Tab) Width(px int64) { tab.t.Helper(); tab.Do(chromedp.EmulateViewport(px, 800)) }

// Prefer sets what a person prefers, by names and values of media features: "forced-colors", "active". Nothing: as the
// browser has it.
func (tab *Tab) Prefer(pairs ...string) {
	tab.t.Helper()
	features := []*emulation.MediaFeature{}
	for i := 0; i < len(pairs); i += 2 {
		features = append(features, &emulation.MediaFeature{Name: pairs[i], Value: pairs[i+1]})
	}
	_, err := chromedp.Call(tab.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features})
	tab.must(err)
}

// Screenshot writes the whole page to a PNG file.
func (tab *Tab) Screenshot(path string) {
	tab.t.Helper()
	tab.must(os.WriteFile(path, Run(tab, chromedp.FullScreenshot(100)), 0o644))
}
