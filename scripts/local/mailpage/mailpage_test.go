package mailpage_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sesv2"
	"github.com/aws/aws-sdk-go-v2/service/sesv2/types"

	"github.com/avow-consent/avow/internal/awstest"
	"github.com/avow-consent/avow/scripts/local/mailpage"
)

// send sends a letter to somebody of this test alone: others use the emulator,
// too.
func send(t *testing.T, env *awstest.Env, to, subject string) {
	t.Helper()
	text := func(s string) *types.Content { return &types.Content{Data: &s} }
	_, err := sesv2.NewFromConfig(env.Config).SendEmail(t.Context(), &sesv2.SendEmailInput{
		FromEmailAddress: aws.String("privacy@example.test"), Destination: &types.Destination{ToAddresses: []string{to}},
		ConfigurationSetName: aws.String(env.Getenv("MAIL_CONFIGURATION_SET")),
		Content: &types.EmailContent{Simple: &types.Message{Subject: text(subject), Body: &types.Body{
			Text: text("Press <here>: https://example.test/public/confirm/abc?x=1&y=2."), Html: text("<p>Press <a href=\"https://example.test/\">here</a>"),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, box *mailpage.Box, to string) []mailpage.Mail {
	t.Helper()
	w := httptest.NewRecorder()
	box.ServeHTTP(w, httptest.NewRequest("GET", "/?format=json", nil))
	var all, own []mailpage.Mail
	if err := json.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	for _, m := range all {
		if len(m.To) == 1 && m.To[0] == to {
			own = append(own, m)
		}
	}
	return own
}

func TestBox(t *testing.T) {
	t.Parallel()
	env := awstest.New(t)
	to := env.Stack.Name + "@example.org"
	path := filepath.Join(t.TempDir(), "mails.json")
	box, err := mailpage.Open(env.URL, path)
	if err != nil {
		t.Fatal(err)
	}
	send(t, env, to, "First")
	send(t, env, to, "Second <b>")
	mails := list(t, box, to)
	if len(mails) != 2 || mails[0].Subject != "Second <b>" || mails[0].From != "privacy@example.test" || mails[0].At.IsZero() ||
		!strings.Contains(mails[1].Text, "confirm/abc") || !strings.Contains(mails[1].HTML, "<p>") {
		t.Errorf("the list is %+v", mails)
	}

	w := httptest.NewRecorder()
	box.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	for _, want := range []string{"Second &lt;b&gt;", `<a href="https://example.test/public/confirm/abc?x=1&amp;y=2"`, "Press &lt;here&gt;"} {
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if got := w.Header().Get("Cache-Control"); w.Code != http.StatusOK || got != "no-store" {
		t.Errorf("the page: %d, %s", w.Code, got)
	}
	w = httptest.NewRecorder()
	box.ServeHTTP(w, httptest.NewRequest("GET", "/favicon.ico", nil))
	if w.Code != http.StatusNotFound {
		t.Errorf("another path: %d", w.Code)
	}

	if err := box.Save(t.Context()); err != nil {
		t.Fatal(err)
	}
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"messages":{}}`)) }))
	defer empty.Close()
	next, err := mailpage.Open(empty.URL, path)
	if err != nil {
		t.Fatal(err)
	}
	if mails := list(t, next, to); len(mails) != 2 {
		t.Errorf("the next run has %d letters, want 2", len(mails))
	}
}
