package settings_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/request"
	"github.com/avow-consent/avow/internal/settings"
)

const day = 24 * time.Hour

// A stack begins with next to nothing, and answers requests from the ledger.
func TestParse_minimal(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " \n", "{}", `{"systems":[]}`, `{"controller":{},"policy":{},"regimes":{},"systems":[]}`} {
		s, err := settings.Parse([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if len(s.Systems) != 1 || s.Systems[0].Name != settings.Ledger || s.Systems[0].Kind != settings.Ledger {
			t.Errorf("%q: systems %+v", text, s.Systems)
		}
		if diff := cmp.Diff(request.Defaults(), s.Policy); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		if s.Controller.TimeZone != "UTC" {
			t.Errorf("%q: time zone %q", text, s.Controller.TimeZone)
		}
	}
}

// full is the file that the documentation shows.
func full(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../../docs/connectors/systems.json")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestParse_full(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse(full(t))
	if err != nil {
		t.Fatal(err)
	}
	want := request.Defaults()
	want.Identity, want.ProofKept = 10*day, 1826*day
	if diff := cmp.Diff(want, s.Policy); diff != "" {
		t.Error(diff)
	}
	if s.Controller.Name != "Example SAS" || s.Controller.DPO.Email != "dpo@example.test" || s.Controller.TimeZone != "Europe/Paris" {
		t.Errorf("%+v", s.Controller)
	}
	desk, ok := s.System("helpdesk")
	if !ok || len(s.Systems) != 3 {
		t.Fatalf("systems: %+v", s.Systems)
	}
	if diff := cmp.Diff(request.Retrieval{From: 7, To: 21, PerDay: 500, Operations: []connector.Operation{"export", "erase", "rectify"}}, desk.Retrieval); diff != "" {
		t.Error(diff)
	}
	inventory := desk.Inventory()
	if !inventory.EEA || inventory.Processor.Name != "Refdesk GmbH" || inventory.Title.In("fr") != "Assistance" || inventory.System != "helpdesk" {
		t.Errorf("%+v", inventory)
	}
	if inventory.Basis.In("fr") != "Contrat : art. 6, § 1, b), RGPD" {
		t.Errorf("%+v", inventory.Basis)
	}
	if social, _ := s.System("zendesk-message"); social.Inventory().EEA {
		t.Error("the US lies in the EEA")
	}
	if _, ok := s.System("ghost"); ok {
		t.Error("a ghost")
	}
}

func TestParse_regimes(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse([]byte(`{"regimes":{"lgpd":{"days":15,"residence":["BR"]},"ccpa":{"days":30},"otherwise":"ccpa"}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := request.Regimes()
	want["lgpd"] = request.Rules{Days: 15, Residence: []string{"BR"}}
	ccpa := want[request.CCPA]
	ccpa.Days = 30
	want[request.CCPA] = ccpa
	if diff := cmp.Diff(want, s.Regimes); diff != "" || s.Otherwise != request.CCPA {
		t.Errorf("otherwise %s, %s", s.Otherwise, diff)
	}
}

func TestParse_dpa(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse([]byte(`{"policy":{"dpa":"block"},"systems":[{` + strings.Replace(refdesk, `"2025-01-01"`, `"2025-01-01","review":"2026-01-01","expires":"2026-07-01"`, 1) + `}]}`))
	if err != nil {
		t.Fatal(err)
	}
	desk, _ := s.System("desk")
	for on, want := range map[string]struct {
		why   connector.Lapse
		since string
	}{
		"2025-12-31": {},
		"2026-01-01": {connector.Unreviewed, "2026-01-01"},
		"2026-06-30": {connector.Unreviewed, "2026-01-01"},
		"2026-07-01": {connector.Ended, "2026-07-01"},
	} {
		now, err := time.Parse(time.DateOnly, on)
		if err != nil {
			t.Fatal(err)
		}
		why, since := desk.Processor.Lapsed(now)
		if why != want.why || why != "" && since.Format(time.DateOnly) != want.since {
			t.Errorf("on %s: %q since %s", on, why, since)
		}
		if got := s.Policy.Blocks(desk.Processor, now); got != (why != "") || request.Defaults().Blocks(desk.Processor, now) {
			t.Errorf("on %s: blocks is %v", on, got)
		}
	}
	if s.Policy.Blocks(nil, time.Now()) {
		t.Error("a system of the company itself has a contract with somebody")
	}
}

// A day of a second makes a test of 90 days last a minute and a half.
func TestParse_fast(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse([]byte(`{"policy":{"day":"1s","looks":["0d","1d"],"poll_first":"10m"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Policy.Scale(90 * day); got != 90*time.Second {
		t.Errorf("90 days last %v", got)
	}
}

const (
	refdesk = `"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"2025-01-01"},"region":"DE"`
	byHand  = `"name":"paper","kind":"manual","region":"FR","data":[{"name":{"en":"a"},"purpose":{"en":"b"},"retention":{"en":"c"}}]`
)

func TestParse_refuses(t *testing.T) {
	t.Parallel()
	system := func(text string) string { return `{"systems":[{` + text + `}]}` }
	for name, tt := range map[string]struct{ text, want string }{
		"no JSON":              {`{"systems":`, "is not valid JSON"},
		"two values":           {`{} {}`, "something follows"},
		"a key twice":          {`{"policy":{"link":"1d","link":"2d"}}`, `"/policy/link"`},
		"no object":            {`[]`, "must be an object"},
		"unknown key":          {`{"system":[]}`, `unknown key "system"; the keys are controller, policy, regimes, systems, letters`},
		"other capitals":       {`{"Systems":[]}`, `unknown key "Systems"`},
		"too long":             {`{"controller":{"name":"` + strings.Repeat("a", settings.MaxBytes) + `"}}`, "is longer than"},
		"wrong type":           {`{"controller":{"name":1}}`, "controller: name must be a text"},
		"wrong type deeper":    {`{"controller":{"dpo":{"email":[]}}}`, "dpo.email must be a text"},
		"unknown, deeper":      {`{"controller":{"dpo":{"mail":"x"}}}`, `controller.dpo: unknown key "mail"`},
		"time zone":            {`{"controller":{"time_zone":"Paris"}}`, `controller: time_zone "Paris"`},
		"the machine's zone":   {`{"controller":{"time_zone":"Local"}}`, `is no IANA time zone`},
		"sender":               {`{"controller":{"from":"Privacy <a@example.test>"}}`, "controller: from is no mail address"},
		"plain http":           {`{"controller":{"base_url":"http://example.test"}}`, "controller: base_url must begin with https://"},
		"no address":           {`{"controller":{"base_url":"example.test"}}`, "controller: base_url is no address"},
		"holiday":              {`{"controller":{"holidays":["2026-12-25","25/12"]}}`, `controller: holidays[1] "25/12" is no date`},
		"language":             {`{"controller":{"authority":{"français":"CNIL"}}}`, `controller: authority has a text in "français"`},
		"policy key":           {`{"policy":{"identty":"1d"}}`, `policy: unknown key "identty"`},
		"duration":             {`{"policy":{"identity":"2 weeks"}}`, `policy: identity "2 weeks" is no duration such as 30d, 24h, 10m, 1s`},
		"a number":             {`{"policy":{"identity":14}}`, `policy: identity must be a text such as "30d"`},
		"too short to keep":    {`{"policy":{"keep":"30d"}}`, "policy: keep must be from 730d to 3653d"},
		"no day":               {`{"policy":{"day":"0s"}}`, "policy: day must be from 1ms to 1d"},
		"looks shrink":         {`{"policy":{"looks":["1d","0d"]}}`, "policy: looks must grow"},
		"looks, one":           {`{"policy":{"looks":"1d"}}`, "policy: looks must be a list"},
		"count":                {`{"policy":{"links":0}}`, "policy: links must be a whole number from 1 to 20"},
		"flag":                 {`{"policy":{"same_approver":"yes"}}`, "policy: same_approver must be true or false"},
		"proof for a week":     {`{"policy":{"proof_kept":"7d"}}`, "policy: proof_kept must be from 30d to 3653d"},
		"retention of a week":  {`{"policy":{"retention_floor":"7d"}}`, "policy: retention_floor must be"},
		"polls":                {`{"policy":{"poll_first":"2h","poll_longest":"1h"}}`, "policy: poll_first is longer"},
		"regime, endless":      {`{"regimes":{"lgpd":{"residence":["BR"]}}}`, "regime lgpd: months or days"},
		"regime, too long":     {`{"regimes":{"gdpr":{"months":2}}}`, "regime gdpr: longer than the law allows"},
		"regime's key":         {`{"regimes":{"lgpd":{"day":15}}}`, `regimes.lgpd: unknown key "day"`},
		"regime's name":        {`{"regimes":{"LGPD":{"days":15}}}`, `regimes: "LGPD" is no name`},
		"regime's place":       {`{"regimes":{"lgpd":{"days":15,"residence":["Brazil"]}}}`, `residence "Brazil" is no country`},
		"no such regime":       {`{"regimes":{"otherwise":"lgpd"}}`, `regimes: otherwise names "lgpd"`},
		"no such letter":       {`{"letters":{"love.en":"x"}}`, `systems.json: letter "love.en"`},
		"no kind":              {system(`"name":"a"`), `system "a": unknown kind ""; the kinds are genesys, ledger, manual, refdesk, salesforce, whatsapp, zendesk-chat, zendesk-messaging, zendesk-support, zoom`},
		"no name":              {system(`"kind":"manual"`), "systems[0]: name must be"},
		"bad name":             {system(`"name":"Help desk","kind":"manual"`), `system "Help desk": name must be`},
		"ledger elsewhere":     {system(`"name":"x","kind":"ledger"`), `system "x": the name and the kind "ledger" belong`},
		"ledger, other kind":   {system(`"name":"ledger","kind":"manual"`), `system "ledger": the name and the kind`},
		"ledger's config":      {system(`"name":"ledger","kind":"ledger","config":{}`), `system "ledger": config is set`},
		"name twice":           {`{"systems":[{` + byHand + `},{` + byHand + `}]}`, `system "paper": the name stands twice`},
		"key of a system":      {system(refdesk + `,"regoin":"DE"`), `system "desk": unknown key "regoin"`},
		"a basis in no tongue": {system(byHand + `,"basis":{"français":"x"}`), `system "paper": basis has a text in "français"`},
		"no secret":            {system(`"name":"desk","kind":"refdesk"`), `system "desk": secret is missing`},
		"the secret itself":    {system(`"name":"desk","kind":"refdesk","secret":"id:pass word"`), `never the secret itself`},
		"secret for nothing":   {system(byHand + `,"secret":"x"`), `system "paper": secret is set`},
		"no processor":         {system(`"name":"desk","kind":"refdesk","secret":"desk"`), `system "desk": processor is missing`},
		"no DPA":               {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R"}`), `system "desk": processor.dpa is missing`},
		"no DPA by hand":       {system(byHand + `,"processor":{"name":"R"}`), `system "paper": processor.dpa is missing`},
		"DPA some day":         {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"soon"}`), `system "desk": processor.dpa "soon" is no date`},
		"review some day":      {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"2025-01-01","review":"2027"}`), `processor.review "2027" is no date`},
		"ends some day":        {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"2025-01-01","expires":"2027"}`), `processor.expires "2027" is no date`},
		"ends before it began": {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"2025-01-01","expires":"2024-12-31"}`), `processor.expires must come after processor.dpa`},
		"lapsed":               {`{"policy":{"dpa":"warn"}}`, `policy: dpa must be remind or block`},
		"lapsed, yes":          {`{"policy":{"dpa":true}}`, `policy: dpa must be remind or block`},
		"nobody":               {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"dpa":"2025-01-01"}`), `processor.name is missing`},
		"processor's key":      {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa_date":"2025-01-01"}`), `system "desk": processor: unknown key "dpa_date"`},
		"no region":            {system(`"name":"desk","kind":"refdesk","secret":"desk","processor":{"name":"R","dpa":"2025-01-01"}`), `system "desk": region is missing`},
		"outside":              {system(strings.Replace(refdesk, "DE", "US", 1)), `system "desk": region "US" is outside the European Economic Area and transfer names no basis`},
		"London":               {system(strings.Replace(refdesk, "DE", "eu-west-2", 1)), `region "eu-west-2" is outside`},
		"blank basis":          {system(strings.Replace(refdesk, "DE", "US", 1) + `,"transfer":" "`), `transfer names no basis`},
		"no data":              {system(`"name":"paper","kind":"manual","region":"FR"`), `system "paper": data is missing`},
		"data without end":     {system(`"name":"paper","kind":"manual","region":"FR","data":[{"name":{"en":"a"},"purpose":{"en":"b"}}]`), `data[0] needs name, purpose and retention`},
		"data's key":           {system(`"name":"paper","kind":"manual","region":"FR","data":[{"nmae":{"en":"a"}}]`), `system "paper": data[0]: unknown key "nmae"`},
		"empty text":           {system(byHand + `,"title":{"en":" "}`), `system "paper": title has an empty text in "en"`},
		"hours":                {system(byHand + `,"retrieval":{"from":8,"to":25}`), `system "paper": retrieval.from and retrieval.to`},
		"operation":            {system(byHand + `,"retrieval":{"operations":["delete"]}`), `system "paper": retrieval.operations: unknown operation "delete"`},
		"cap":                  {system(byHand + `,"retrieval":{"per_day":-1}`), `system "paper": retrieval.per_day`},
		"retrieval's key":      {system(byHand + `,"retrieval":{"hours":"8-18"}`), `system "paper": retrieval: unknown key "hours"`},
		"automated, unsaid":    {system(byHand + `,"automated":{}`), `system "paper": automated.decisions is missing`},
		"automated, no logic":  {system(byHand + `,"automated":{"decisions":true,"consequences":{"en":"a"}}`), `system "paper": automated needs logic and consequences`},
		"automated, none, how": {system(byHand + `,"automated":{"decisions":false,"logic":{"en":"a"}}`), `system "paper": automated.decisions is false`},
		"automated, empty":     {system(byHand + `,"automated":{"decisions":true,"logic":{"en":" "},"consequences":{"en":"a"}}`), `system "paper": automated.logic has an empty text in "en"`},
		"automated's key":      {system(byHand + `,"automated":{"decision":true}`), `system "paper": automated: unknown key "decision"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := settings.Parse([]byte(tt.text))
			if !errs.Is(err, errs.Invalid) || s != nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "systems.json: ") {
				t.Errorf("%v\nwant %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Error("more than one line")
			}
		})
	}
}

func TestSettings_warnings(t *testing.T) {
	t.Parallel()
	s, err := settings.Parse(full(t))
	if err != nil {
		t.Fatal(err)
	}
	review := time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		now  time.Time
		want string
	}{
		"long before": {review.Add(-61 * day), ""},
		"soon":        {review.Add(-59 * day), "is due on 2027-03-01"},
		"too late":    {review.Add(day), "was due on 2027-03-01"},
		"unsigned":    {time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC), "processor.dpa 2025-03-01 lies ahead"},
	} {
		got := s.Warnings(tt.now)
		if (tt.want == "") != (len(got) == 0) || tt.want != "" && (len(got) != 1 || !strings.Contains(got[0], tt.want) || !strings.Contains(got[0], `"helpdesk"`)) {
			t.Errorf("%s: %q", name, got)
		}
	}
	desk, _ := s.System("helpdesk")
	desk.Processor.Expires = "2028-01-31"
	end := time.Date(2028, 1, 31, 0, 0, 0, 0, time.UTC)
	for now, want := range map[time.Time]string{end.Add(-59 * day): "the processor's DPA ends on 2028-01-31", end: "the processor's DPA ended on 2028-01-31"} {
		if got := strings.Join(s.Warnings(now), "\n"); !strings.Contains(got, want) || !strings.Contains(got, "was due on 2027-03-01") {
			t.Errorf("at %s: %s", now, got)
		}
	}
	bare, err := settings.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := bare.Warnings(review); len(got) != 5 {
		t.Errorf("a bare stack: %q", got)
	}
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"30d": 30 * day, "24h": day, "10m": 10 * time.Minute, "1s": time.Second, "200ms": 200 * time.Millisecond, "0d": 0} {
		if got, err := settings.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "1", "d", "-1d", "1.5h", "1d12h", " 1d", "1w", "1234567d", "1e3s"} {
		if got, err := settings.ParseDuration(text); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// Whatever the text: no panic, an error of one kind in one line, or settings
// that keep every promise.
func FuzzParse(f *testing.F) {
	f.Add(full(f))
	for _, text := range []string{"", "{}", "null", `{"systems":[null]}`, `{"systems":[{` + refdesk + `}]}`, `{"systems":[{` + byHand + `,"processor":null}]}`,
		`{"policy":{"looks":[]}}`, `{"policy":{"dpa":"block"}}`, `{"policy":null}`, `{"regimes":{"lgpd":{}}}`, `{"controller":{"dpo":null}}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := settings.Parse(text)
		if err != nil {
			if !errs.Is(err, errs.Invalid) {
				t.Fatalf("%v", err)
			}
			return
		}
		if s.Systems[0].Name != settings.Ledger || s.Policy.Day <= 0 || s.Policy.Keep < 730*day {
			t.Fatalf("%+v", s)
		}
		for _, one := range s.Systems {
			if one.Kind != settings.Ledger && !settings.InEEA(one.Region) && one.Transfer == "" || one.Processor != nil && one.Processor.DPA == "" {
				t.Fatalf("%+v", one)
			}
			if one.Config != nil && !json.Valid(one.Config) {
				t.Fatal("a connector gets a broken text")
			}
		}
		s.Warnings(time.Unix(1_800_000_000, 0))
	})
}

// Terms are the settings without what letters are made with, whatever the
// company's own are: those are judged where they are written.
func TestParseTerms(t *testing.T) {
	t.Parallel()
	const text = `{"controller":{"name":"Shop"},"policy":{"mails_per_day":7},"letters":{"no_such_letter.en":"x"}}`
	s, err := settings.ParseTerms([]byte(text))
	if err != nil || s.Controller.Name != "Shop" || s.Policy.MailsPerDay != 7 || s.Letters != nil {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := settings.Parse([]byte(text)); err == nil {
		t.Error("the same text is good for whoever writes letters")
	}
	if _, err := settings.ParseTerms([]byte(`{"nonsense":1}`)); !errs.Is(err, errs.Invalid) {
		t.Errorf("nonsense: %v", err)
	}
}
