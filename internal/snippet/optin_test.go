package snippet_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A page may ask that the grants wait until the person has confirmed them: the
// script passes it on, whatever form it reads.
func TestSubmit_doubleOptIn(t *testing.T) {
	t.Parallel()
	r := newRecorder(t)
	tab := site{
		body: `<form id="f"><input name="mail" value="ines@example.test"><input type="checkbox" name="news" checked></form>`,
		after: started + `
avow.submit({
  form: {selector: "f", map: {subject: {email: "mail"}, preferences: {newsletter: "news"}}},
  consent: {double_opt_in: {channel: "email", language: "fr"}}
});`,
	}.open(t, r.URL)
	got := r.one().body
	want := map[string]any{"channel": "email", "language": "fr"}
	if diff := cmp.Diff(want, got["double_opt_in"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	quiet(t, tab)
}
