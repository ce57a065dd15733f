package snippet_test

import (
	"bytes"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/snippet"
	"github.com/avow-consent/avow/internal/snippet/browser"
	"github.com/avow-consent/avow/internal/snippet/npm"
)

var chromium browser.Browser

func TestMain(m *testing.M) {
	flag.Parse()
	// The tests wait for browsers and clocks more than they compute: a few more at once than there are processors.
	if parallel := flag.Lookup("test.parallel"); parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set("3"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	chromium.Close()
	os.Exit(code)
}

// site is a page of somebody's website, at another origin than the API and under a content policy that allows
// nothing inline.
type site struct {
	before  string            // script that runs before avow.js
	tag     string            // attributes of avow.js's script tag; default: its src
	body    string            // HTML of the page
	after   string            // script that runs after avow.js
	policy  string            // loosens or tightens the content policy: begins with a semicolon
	beside  []string          // further scripts and style sheets after avow.js, from the site's own host: /scripts/…, /npm/…
	modules map[string]string // scripts that the body asks for, by path
}

// started is what most pages say first.
const started = `avow.cons_instructions.push(["init", {api_key: "` + publicKey + `"}]);`

// prelude is what the test looks at: the answers that callbacks got, and how often fetch was called.
const prelude = `
var answers = [];
var callbacks = {
  success: function (r) { answers.push(["success", r]); },
  error: function (r) { answers.push(["error", r]); }
};
var fetches = [];
var realFetch = window.fetch;
window.fetch = function (url, options) { fetches.push(options); return realFetch(url, options); };
`

// open serves the page, a page /next to go to, and a page /started that has avow.js and the first instruction only,
// and opens it in a tab of its own.
func (s site) open(t testing.TB, api string) *browser.Tab {
	t.Helper()
	tab := chromium.Tab(t)
	tab.Open(s.serve(t, api))
	return tab
}

func (s site) serve(t testing.TB, api string) string {
	if s.tag == "" {
		s.tag = `src="` + api + `/avow.js"`
	}
	mux := http.NewServeMux()
	var beside string
	for _, path := range s.beside {
		if strings.HasSuffix(path, ".css") {
			beside += `<link rel="stylesheet" href="` + path + `">`
		} else {
			beside += `<script src="` + path + `"></script>`
		}
		if file, isForeign := strings.CutPrefix(path, "/npm/"); isForeign {
			text := npm.Read(t, file)
			mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
				http.ServeContent(w, r, path, time.Time{}, bytes.NewReader(text))
			})
		}
	}
	mux.Handle("/scripts/", http.StripPrefix("/scripts/", http.FileServerFS(snippet.Files())))
	write := func(mediaType, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType+"; charset=utf-8")
			w.Header().Set("Content-Security-Policy",
				"default-src 'none'; script-src 'self' "+api+"; connect-src "+api+"; form-action 'self'"+s.policy)
			fmt.Fprint(w, text)
		}
	}
	mux.HandleFunc("/", write("text/html", `<!doctype html><html lang="en"><title>Site</title><script src="/before.js"></script>`+
		`<script `+s.tag+`></script>`+beside+`<body>`+s.body+`<script src="/after.js"></script>`))
	mux.HandleFunc("/before.js", write("text/javascript", prelude+s.before))
	mux.HandleFunc("/after.js", write("text/javascript", s.after))
	for path, text := range s.modules {
		mux.HandleFunc(path, write("text/javascript", text))
	}
	mux.HandleFunc("/copy.js", write("text/javascript", string(snippet.Source())))
	mux.HandleFunc("/empty.js", write("text/javascript", ""))
	mux.HandleFunc("/next", write("text/html", `<!doctype html><title>Next</title>`))
	mux.HandleFunc("/started", write("text/html", `<!doctype html><script src="/before.js"></script><script `+s.tag+`></script><script src="/init.js"></script>`))
	init, _, _ := strings.Cut(s.after, ";")
	mux.HandleFunc("/init.js", write("text/javascript", init+`; document.title = "Started";`))
	mux.HandleFunc("/favicon.ico", http.NotFound)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// quiet fails the test when the page saw an exception, a breach of its content policy, or a dialog.
func quiet(t testing.TB, tab *browser.Tab) {
	t.Helper()
	for _, p := range tab.Problems() {
		t.Errorf("on the page: %s", p)
	}
}
