package requests_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/blob"
	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/dynamo"
	"github.com/avow-consent/avow/internal/secret"
)

// A company states the legal basis of what a connector knows of a system, and nothing
// else of that is lost; what it has not stated is listed.
func TestInventory_basis(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	system := func(name, more string) string {
		return `{"name":"` + name + `","kind":"refdesk","secret":"x","config":{"base_url":"https://desk.example"},"processor":{"name":"Refdesk","dpa":"2025-03-01"},"region":"DE"` + more + `}`
	}
	put := func(systems ...string) {
		t.Helper()
		text := `{"controller":{"name":"Shop"},"systems":[` + strings.Join(systems, ",") + `]}`
		if err := secret.NewStore(d.env.Config).Put(t.Context(), d.env.Getenv("SYSTEMS_SECRET"), []byte(text)); err != nil {
			t.Fatal(err)
		}
		*d.now = d.now.Add(time.Minute)
	}
	var shown struct {
		Systems []connector.Inventory
		Missing []struct{ System, Field string }
	}
	put(system("open", ""), system("stated", `,"basis":{"en":"Contract: Art. 6(1)(b) GDPR"}`))
	a := d.ask("viewer", "GET", "/inventory", "")
	if err := json.Unmarshal([]byte(a.Body), &shown); err != nil || a.Status != 200 || len(shown.Systems) != 3 {
		t.Fatal(a.Status, a.Body, err)
	}
	open, stated := shown.Systems[1].Data, shown.Systems[2].Data
	if len(open) == 0 || len(open) != len(stated) || len(shown.Missing) != len(open) {
		t.Fatalf("%s", a.Body)
	}
	for i, missing := range shown.Missing {
		if missing.System != "open" || missing.Field != "basis" {
			t.Errorf("%+v", missing)
		}
		if stated[i].Basis.In("en") != "Contract: Art. 6(1)(b) GDPR" || stated[i].Retention.In("en") != open[i].Retention.In("en") {
			t.Errorf("%+v", stated[i])
		}
	}
}

func TestInventory(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	type shown struct {
		Systems []struct{ System string }
		Notice  struct {
			Version   int
			Languages []struct {
				Language string
				NotFound []struct{ Field string } `json:"not_found"`
			}
		}
	}
	read := func() (s shown) {
		t.Helper()
		a := d.ask("viewer", "GET", "/inventory", "")
		if err := json.Unmarshal([]byte(a.Body), &s); err != nil || a.Status != 200 {
			t.Fatal(a.Status, a.Body, err)
		}
		return s
	}
	if s := read(); len(s.Systems) != 1 || s.Systems[0].System != "ledger" || s.Notice.Version != 0 || len(s.Notice.Languages) != 0 {
		t.Fatalf("without a notice: %+v", s)
	}
	const digest = "3b5d5c3712955042212316173ccf37be800a1a0b8f7b0b9d1f0c3f3a6d3f2c11"
	if err := blob.NewProofs(d.env.Config, d.env.Getenv("PROOFS_BUCKET")).PutNotice(t.Context(), "shop", digest, []byte("<p>Nothing.</p>")); err != nil {
		t.Fatal(err)
	}
	at := noon.Add(-time.Hour)
	_, err := dynamo.NewNotices(d.env.Config, d.env.Getenv("NOTICES_TABLE")).Publish(t.Context(), "key-1",
		consent.Publication{Published: at, Versions: []int{1}},
		[]consent.Notice{{Site: "shop", Identifier: "privacy_policy", Version: 1, Texts: map[string]string{"fr": digest}, Published: at, Effective: at}})
	if err != nil {
		t.Fatal(err)
	}
	if s := read(); s.Notice.Version != 1 || len(s.Notice.Languages) != 1 || s.Notice.Languages[0].Language != "fr" || len(s.Notice.Languages[0].NotFound) == 0 {
		t.Errorf("with a notice that says nothing: %+v", s)
	}
	if a := d.ask("viewer", "GET", "/inventory?format=csv&language=fr", ""); a.Status != 200 || !strings.HasPrefix(a.Body, "Responsable du traitement,") || a.Headers["Content-Type"] != "text/csv; charset=utf-8; header=present" {
		t.Error(a.Status, a.Headers, a.Body)
	}
	for who, want := range map[string]int{"": 401, "private": 403, "public": 403} {
		if a := d.ask(who, "GET", "/inventory", ""); a.Status != want {
			t.Errorf("%q: %d", who, a.Status)
		}
	}
	if a := d.ask("viewer", "GET", "/inventory?format=pdf", ""); a.Status != 400 {
		t.Error("an unknown format", a.Status)
	}
}
