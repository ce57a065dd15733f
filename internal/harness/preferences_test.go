package harness_test

import (
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/harness"
)

// The whole path by mail: a page asks for a link, the letter comes, a scanner
// follows it, the person opens it, withdraws, and every back end is told no.
func TestPreferences(t *testing.T) {
	t.Parallel()
	w := harness.New(t, harness.Options{Bare: true})
	w.Stream(t)
	const who = "email=zoe@example.test"
	w.Must(t, 200, w.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"email": "zoe@example.test"}, "preferences": map[string]any{"newsletter": true}})
	wantNewsletter(t, w, "before", who, "true granted")
	for _, email := range []string{"zoe@example.test", "nobody@example.test", "zoe@example.test"} {
		if a := w.Must(t, 202, w.Public, "POST", "/public/preferences/link", map[string]any{"email": email, "language": "fr"}); a.Text("status") != "received" {
			t.Errorf("%s: %s", email, a.Text("status"))
		}
	}
	var m harness.Mail
	for deadline := time.Now().Add(time.Minute); m.Text == ""; time.Sleep(50 * time.Millisecond) {
		if list := mailsTo(t, w, "zoe@example.test"); len(list) > 0 {
			m = list[0]
		} else if time.Now().After(deadline) {
			t.Fatal("no letter comes")
		}
	}
	link := regexp.MustCompile(`https?://\S+/public/preferences/\S+`).FindString(m.Text)
	if !strings.Contains(m.Subject, "préférences") || link == "" || strings.Contains(m.Text, "newsletter") {
		t.Fatalf("%s\n%s", m.Subject, m.Text)
	}
	open := form(t, link, nil)
	open.Set("action", "open")
	shown := form(t, link, open)
	if shown.Get("on") != "newsletter" {
		t.Fatalf("%v", shown)
	}
	shown.Del("on")
	shown.Set("action", "save")
	if saved := form(t, link, shown); saved.Get("on") != "" || saved.Get("was") != "" {
		t.Errorf("%v", saved)
	}
	wantNewsletter(t, w, "after", who, "false withdrawn")
	if n := len(mailsTo(t, w, "nobody@example.test")); n != 0 {
		t.Errorf("%d letters to whom the ledger does not know", n)
	}
}

var input = regexp.MustCompile(`<input type="(hidden|checkbox)"([^>]*)>`)

// form gets a page, or posts a form to it, and reads the form that comes.
func form(t testing.TB, link string, send url.Values) url.Values {
	t.Helper()
	res, err := http.Get(link)
	if send != nil {
		res, err = http.PostForm(link, send)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %v %s", res.StatusCode, err, body)
	}
	form := url.Values{}
	for _, found := range input.FindAllStringSubmatch(string(body), -1) {
		name := regexp.MustCompile(` name="([^"]*)" value="([^"]*)"`).FindStringSubmatch(found[2])
		if name != nil && (found[1] == "hidden" || strings.Contains(found[2], " checked")) {
			form.Add(name[1], name[2])
		}
	}
	return form
}
