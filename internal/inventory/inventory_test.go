package inventory_test

import (
	"encoding/csv"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/inventory"
	"github.com/avow-consent/avow/internal/request"
)

func both(en, fr string) connector.Text { return connector.Text{"en": en, "fr": fr} }

// record is that of a shop with a help desk in the United States, and a CRM that
// hands names to Zoom.
func record() inventory.Record {
	return inventory.New(request.Controller{Name: "Shop & Co", DPO: request.Contact{Name: "The DPO", Email: "dpo@shop.example"}}, []connector.Inventory{
		{
			System: "helpdesk", Kind: "zendesk-support", Title: both("Help desk", "Assistance"), Region: "us-east-1", Transfer: "SCC 2021/914, module 2",
			Processor:  &connector.Processor{Name: "Zendesk, Inc.", DPA: "2026-01-01", Clauses: "SCC 2021/914, module 2", Review: "2027-01-01"},
			Recipients: []connector.Text{both("Acme Translations Ltd (tickets in Polish)", "Acme Translations Ltd (demandes en polonais)")},
			Data: []connector.Category{{
				Name: both("Tickets: name, e-mail and telephone", "Demandes : nom, e-mail et téléphone"), Purpose: both("Customer support", "Service client"),
				Retention: both("30 days after the ticket is closed", "30 jours après la clôture"), Basis: both("=Art. 6(1)(b)", "=Art. 6(1)(b)"),
			}},
		},
		{System: "crm", Kind: "salesforce", Title: both("CRM", "CRM"), Region: "FR", EEA: true, Flows: []connector.Flow{{To: "zoom", Data: both("names", "noms")}}},
		{System: "video", Kind: "zoom", Title: both("Video", "Vidéo"), Region: "DE", EEA: true},
	}, time.Date(2026, 2, 3, 12, 0, 0, 5, time.UTC))
}

const english = `<h1>Privacy notice</h1><script>var a = "Acme Translations"</script>
<p>Our help desk is run by <b>Zen</b>desk in the U.S., on standard contractual clauses. ACME&nbsp;TRANSLATIONS helps us with languages.</p>
<ul><li>tickets</li><li>your name, your <em>e&#45;mail</em> address and your tele&shy;phone number</li></ul>
<p>We use them for customer
support and keep them for <strong>30 days</strong>, on Article 6 (1) <i>lit. b</i> GDPR.</p>
<p>Zoom gets the names of who registers.</p>`

const french = "# Politique de confidentialité\n\nNotre assistance est assurée par **ZENDESK** aux Etats-Unis.\n\n* DEMANDES, nom, e-mail\n* *service client*, gardées 30 jours, art. 6, § 1, point b), RGPD\n* Zoom : noms\n"

func TestCompare(t *testing.T) {
	t.Parallel()
	if found := inventory.Compare(record(), "en-GB", english); len(found) != 0 {
		t.Errorf("English: %+v", found)
	}
	want := []inventory.Finding{
		{System: "helpdesk", Field: inventory.Recipient, Text: "Acme Translations Ltd (demandes en polonais)", Language: "fr", NotFound: []string{"Acme Translations"}},
		{System: "helpdesk", Field: inventory.Data, Text: "Demandes : nom, e-mail et téléphone", Language: "fr", NotFound: []string{"téléphone"}},
	}
	if found := inventory.Compare(record(), "fr", french); !reflect.DeepEqual(found, want) {
		t.Errorf("French: %+v", found)
	}
}

// TestCompare_fields takes each thing out of a notice that says all.
func TestCompare_fields(t *testing.T) {
	t.Parallel()
	for field, cut := range map[inventory.Field]string{
		inventory.Processor: "<b>Zen</b>desk", inventory.Recipient: "ACME", inventory.Data: "tickets</li>",
		inventory.Purpose: "support", inventory.Retention: "30 ", inventory.Transfer: "U.S.",
		inventory.Basis: "Article 6 (1)", inventory.Handover: "Zoom",
	} {
		found := inventory.Compare(record(), "en", strings.Replace(english, cut, "", 1))
		if len(found) != 1 || found[0].Field != field || len(found[0].NotFound) != 1 {
			t.Errorf("without %q: %+v", cut, found)
		}
	}
	// What is handed over is looked for, too, and another ground is not the same.
	found := inventory.Compare(record(), "en", strings.NewReplacer("the names", "something", "lit. b", "lit. f").Replace(english))
	want := []inventory.Finding{
		{System: "helpdesk", Field: inventory.Basis, Text: "=Art. 6(1)(b)", Language: "en", NotFound: []string{"Art. 6(1)(b)"}},
		{System: "crm", Field: inventory.Handover, Text: "video: names", Language: "en", NotFound: []string{"names"}},
	}
	if !reflect.DeepEqual(found, want) {
		t.Errorf("%+v", found)
	}
	// Parts of words do not count.
	found = inventory.Compare(record(), "en", strings.Replace(english, "30 days", "130 days", 1))
	if len(found) != 1 || found[0].Field != inventory.Retention {
		t.Errorf("130 days: %+v", found)
	}
}

// TestCompare_otherLanguage: what the record does not have in the notice's
// language is looked for in English, and the finding says so.
func TestCompare_otherLanguage(t *testing.T) {
	t.Parallel()
	for _, f := range inventory.Compare(record(), "de", "Datenschutz") {
		if text := f.Field != inventory.Processor && f.Field != inventory.Transfer; text && f.Language != "en" {
			t.Errorf("%+v", f)
		}
	}
}

// TestCompare_basisInWords: a basis without a reference is looked for by its words.
func TestCompare_basisInWords(t *testing.T) {
	t.Parallel()
	r := record()
	r.Systems[0].Data[0].Basis = both("your consent", "votre consentement")
	if found := inventory.Compare(r, "en", english); len(found) != 1 || found[0].Field != inventory.Basis || found[0].NotFound[0] != "your consent" {
		t.Errorf("%+v", found)
	}
	if found := inventory.Compare(r, "en", english+"We ask for your consent."); len(found) != 0 {
		t.Errorf("%+v", found)
	}
}

// TestNew_missing: a legal basis that nobody has stated is missing in the record.
func TestNew_missing(t *testing.T) {
	t.Parallel()
	r := record()
	if r.Missing == nil || len(r.Missing) != 0 {
		t.Errorf("%+v", r.Missing)
	}
	r.Systems[0].Data[0].Basis = nil
	want := []inventory.Missing{{System: "helpdesk", Field: inventory.Basis, Data: r.Systems[0].Data[0].Name}}
	if got := inventory.New(request.Controller{}, r.Systems, r.At).Missing; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if found := inventory.Compare(r, "en", english); len(found) != 0 {
		t.Errorf("a notice cannot say what the record does not: %+v", found)
	}
}

func TestNew_flows(t *testing.T) {
	t.Parallel()
	r := record()
	if len(r.Flows) != 1 || r.Flows[0].From != "crm" || r.Flows[0].To != "video" {
		t.Errorf("%+v", r.Flows)
	}
	alone := inventory.New(request.Controller{}, r.Systems[:2], r.At)
	if len(alone.Flows) != 1 || alone.Flows[0].To != "zoom" {
		t.Errorf("without Zoom: %+v", alone.Flows)
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	for language, want := range map[string][]string{"en": {"Customer support", "no", "names"}, "fr": {"Service client", "non", "noms"}} {
		var b strings.Builder
		if err := record().CSV(&b, language); err != nil {
			t.Fatal(err)
		}
		lines, err := csv.NewReader(strings.NewReader(b.String())).ReadAll() // refuses lines of unequal length
		if err != nil || len(lines) != 4 {
			t.Fatalf("%s: %d lines, %v", language, len(lines), err)
		}
		got := []string{lines[1][4], lines[1][16], strings.TrimPrefix(lines[2][9], "video: ")}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q", language, got)
		}
		if lines[1][5] != "'=Art. 6(1)(b)" {
			t.Errorf("a formula: %q", lines[1][5])
		}
	}
}
