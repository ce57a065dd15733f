package harness_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/company/vendors"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/consent"
	"github.com/avow-consent/avow/internal/faulty"
	"github.com/avow-consent/avow/internal/harness"
	"github.com/avow-consent/avow/internal/keys"
	"github.com/avow-consent/avow/internal/outbox"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/secret"
)

// follow is a company whose Salesforce follows what people answer.
type follow struct {
	*harness.World
	t      *testing.T
	hasher *pseudonym.Hasher
}

func newFollow(t *testing.T) *follow {
	t.Helper()
	w := harness.New(t, harness.Options{Company: []string{vendors.Salesforce}})
	key, err := secret.NewStore(w.Env.Config).Value(t.Context(), w.Env.Getenv("PSEUDONYM_SECRET"))
	if err != nil {
		t.Fatal(err)
	}
	hasher, err := pseudonym.New(key)
	if err != nil {
		t.Fatal(err)
	}
	return &follow{w, t, hasher}
}

// says posts an answer of Ines, and notes the change as project does.
func (f *follow) says(key string, news bool) {
	f.t.Helper()
	f.Engine.Advance(f.t.Context(), time.Minute)
	path := map[bool]string{true: "/public/consent", false: "/consent"}[key == f.Public]
	f.Must(f.t, 200, key, "POST", path, map[string]any{"subject": map[string]any{"email": ines}, "preferences": map[string]any{"newsletter": news}})
	f.changed()
}

func (f *follow) changed() {
	f.t.Helper()
	err := f.Outbox().Renew(f.t.Context(), outbox.Entry{
		Ref: outbox.Ref{Subject: f.hasher.Subject(f.Site, f.hasher.EmailSubject(f.Site, ines)), Kind: outbox.Change}, Site: f.Site, Since: f.Now(), Next: f.Now(),
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// runs lets the schedule come for some time.
func (f *follow) runs(d time.Duration) {
	f.t.Helper()
	for end := f.Now().Add(d); f.Now().Before(end); f.Engine.Advance(f.t.Context(), 10*time.Minute) {
		f.Propagate(f.t)
	}
	f.Propagate(f.t)
}

// no is what the contact and the lead of Ines say, nil where they differ.
func (f *follow) no() *bool {
	var said *bool
	for _, object := range []string{"Contact", "Lead"} {
		for _, r := range f.Company.Salesforce.Of(object) {
			if email, _ := r.Fields["Email"].(string); theirs(company.People()[0], email) == 0 || r.Fields["IsConverted"] == true {
				continue
			}
			flag, _ := r.Fields["HasOptedOutOfEmail"].(bool)
			if said != nil && *said != flag {
				return nil
			}
			said = &flag
		}
	}
	return said
}

func (f *follow) wants(no bool, when string) {
	f.t.Helper()
	if got := f.no(); got == nil || *got != no {
		f.t.Errorf("%s the flag is not %v", when, no)
	}
}

// figure reads fields of what GET /propagation says of Salesforce.
func figure(a harness.Answer, fields ...string) string {
	for i := 0; a.Get(fmt.Sprint("items.", i)) != nil; i++ {
		if a.Text(fmt.Sprint("items.", i, ".system")) != vendors.Salesforce {
			continue
		}
		var values []string
		for _, field := range fields {
			values = append(values, fmt.Sprint(a.Get(fmt.Sprint("items.", i, ".", field))))
		}
		return strings.Join(values, " ")
	}
	return "none"
}

func (f *follow) decides(want bool, reason string) {
	f.t.Helper()
	a := f.Must(f.t, 200, f.Secret, "GET", "/decide?preference=newsletter&email="+ines, nil)
	granted, _ := a.Get("granted").(bool)
	if granted != want || a.Text("reason") != reason {
		f.t.Errorf("decide says %s", a.Body)
	}
}

// enters changes the flag in Salesforce, as somebody there does.
func (f *follow) enters(no bool) {
	f.t.Helper()
	c := f.Company.Salesforce
	for _, object := range []string{"Contact", "Lead"} {
		for _, r := range c.Of(object) {
			if email, _ := r.Fields["Email"].(string); theirs(company.People()[0], email) > 0 {
				c.Set(r.ID, "HasOptedOutOfEmail", no)
			}
		}
	}
}

// What a person answers reaches the vendor; what somebody enters there comes back
// as a no, and never as a yes.
func TestPropagate(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	f.says(f.Secret, true)
	f.runs(0)
	f.wants(false, "after the grant")
	f.says(f.Public, false)
	f.runs(0)
	f.wants(true, "after the withdrawal")
	f.says(f.Secret, true)
	f.runs(0)
	f.wants(false, "after another grant") // the no was ours

	f.runs(time.Hour)
	f.decides(true, "granted") // what Avow has set is no news
	f.enters(true)
	f.runs(time.Hour)
	f.decides(false, "objected")
	f.wants(true, "after a no of the vendor")
	f.enters(false)
	f.runs(time.Hour)
	f.decides(false, "objected")
	f.wants(true, "after a yes of the vendor")
	f.says(f.Secret, true)
	f.runs(time.Hour)
	f.decides(true, "granted")
	f.wants(false, "after the person has agreed again")
	figures := f.Must(t, 200, f.Roles[keys.Viewer], "GET", "/propagation", nil)
	if got := figure(figures, "told", "failed"); got != "1 0" {
		t.Errorf("%s", figures.Body)
	}
}

// A no that somebody has entered there is not overwritten by a grant that the
// vendor had not been told.
func TestPropagate_ownNo(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	f.enters(true)
	f.says(f.Secret, true)
	f.runs(time.Hour)
	f.decides(false, "objected")
	f.wants(true, "after a grant")
}

// Whose answers cannot be read any more is refused by the ledger; that the vendor
// was not told is no secret, and a poll that meets the record goes on.
func TestPropagate_tooMuch(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	for i := range consent.MaxBound {
		f.Must(t, 200, f.Secret, "POST", "/consent", map[string]any{
			"subject": map[string]any{"id": fmt.Sprint("account-", i), "email": ines}, "preferences": map[string]any{"newsletter": true},
		})
	}
	f.changed()
	f.enters(true)
	f.runs(time.Hour)
	f.decides(false, "too_many_events")
	figures := f.Must(t, 200, f.Roles[keys.Viewer], "GET", "/propagation", nil)
	if got := figure(figures, "failed", "waiting"); got != "1 0" {
		t.Errorf("%s", figures.Body)
	}
	other := company.People()[1].Email
	f.Must(t, 200, f.Secret, "POST", "/consent", map[string]any{"subject": map[string]any{"email": other}, "preferences": map[string]any{"newsletter": true}})
	for _, r := range f.Company.Salesforce.Of("Contact") {
		if r.Fields["Email"] == other {
			f.Company.Salesforce.Set(r.ID, "HasOptedOutOfEmail", true)
		}
	}
	f.runs(time.Hour)
	if a := f.Must(t, 200, f.Secret, "GET", "/decide?preference=newsletter&email="+other, nil); a.Text("reason") != "objected" {
		t.Errorf("the next record is not heard of: %s", a.Body)
	}
}

// grants posts a yes of Ines that ends by itself.
func (f *follow) grants(until time.Time) {
	f.t.Helper()
	f.Engine.Advance(f.t.Context(), time.Minute)
	f.Must(f.t, 200, f.Secret, "POST", "/consent", map[string]any{
		"subject": map[string]any{"email": ines}, "preferences": map[string]any{"newsletter": true}, "expires_at": until.UTC().Format(time.RFC3339),
	})
	f.changed()
	f.runs(0)
}

// A yes that ends by time ends at the vendor, too, though nobody says anything; one
// that was given anew meanwhile stays.
func TestPropagate_expires(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	f.says(f.Public, false)
	f.runs(0)
	f.grants(f.Now().Add(48 * time.Hour))
	f.wants(false, "after the grant")
	f.Engine.Advance(t.Context(), 24*time.Hour)
	f.grants(f.Now().Add(72 * time.Hour))
	f.Engine.Advance(t.Context(), 36*time.Hour)
	f.runs(10 * time.Minute)
	f.decides(true, "granted")
	f.wants(false, "when the first one has expired")
	figures := f.Must(t, 200, f.Roles[keys.Viewer], "GET", "/propagation", nil)
	if got := figure(figures, "waiting", "failed"); got != "0 0" {
		t.Errorf("what expires later counts as waiting: %s", figures.Body)
	}
	f.Engine.Advance(t.Context(), 36*time.Hour)
	f.decides(false, "expired")
	f.wants(false, "before the schedule comes")
	f.runs(10 * time.Minute)
	f.wants(true, "when the second one has expired")
	f.says(f.Secret, true)
	f.runs(0)
	f.wants(false, "after another grant")
}

// lapse sets when the agreement with Salesforce is to be reviewed, and what follows.
func (f *follow) lapse(policy, review string) {
	f.t.Helper()
	name := f.Env.Getenv("SYSTEMS_SECRET")
	text, err := secret.NewStore(f.Env.Config).Value(f.t.Context(), name)
	if err != nil {
		f.t.Fatal(err)
	}
	var file struct {
		Controller json.RawMessage  `json:"controller"`
		Policy     map[string]any   `json:"policy"`
		Systems    []map[string]any `json:"systems"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		f.t.Fatal(err)
	}
	file.Policy["dpa"] = policy
	for _, one := range file.Systems {
		one["processor"].(map[string]any)["review"] = review
	}
	if text, err = json.Marshal(file); err != nil {
		f.t.Fatal(err)
	}
	_, err = secretsmanager.NewFromConfig(f.Env.Config).PutSecretValue(f.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(name), SecretString: aws.String(string(text)),
	})
	if err != nil {
		f.t.Fatal(err)
	}
	f.Engine.Advance(f.t.Context(), time.Minute)
}

// A processor whose agreement has lapsed hears of no new grant where the policy
// blocks, of every withdrawal, and of the grants in the end.
func TestPropagate_lapsed(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	f.says(f.Secret, false)
	f.runs(0)
	f.wants(true, "at first")
	lapsed, renewed := f.Now().AddDate(0, 0, -1).Format(time.DateOnly), f.Now().AddDate(2, 0, 0).Format(time.DateOnly)

	f.lapse("block", lapsed)
	f.says(f.Secret, true)
	f.runs(time.Hour)
	f.wants(true, "while the agreement has lapsed")
	f.decides(true, "granted")
	figures := f.Must(t, 200, f.Roles[keys.Viewer], "GET", "/propagation", nil)
	if got := figure(figures, "waiting", "failed"); got != "1 0" {
		t.Errorf("%s", figures.Body)
	}
	for range 2 {
		f.Sweep(t)
		f.Engine.Advance(t.Context(), time.Minute)
	}
	if mails := f.Mails(t); len(mails) != 1 || mails[0].To != "dpo@example.test" || mails[0].Subject != "Agreement to review: salesforce" || !strings.Contains(mails[0].Text, "new consents wait") {
		t.Errorf("the privacy office got %+v", mails)
	}
	f.lapse("block", renewed)
	f.runs(25 * time.Hour)
	f.wants(false, "after the renewal")

	f.lapse("block", lapsed)
	f.says(f.Public, false)
	f.runs(0)
	f.wants(true, "after a withdrawal")
	f.says(f.Secret, true)
	f.enters(true) // changes nothing but when the record was changed: the poll meets it
	f.runs(time.Hour)
	f.wants(true, "while it has lapsed again")
	f.lapse("remind", lapsed)
	f.runs(25 * time.Hour)
	f.wants(false, "when the policy reminds")
}

// Whatever fails, the flag says in the end what the ledger says.
func TestPropagate_faults(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]func(*follow){
		"the vendor is away for a day": func(f *follow) { f.Company.Salesforce.Fail(fakekit.Failure{Status: 503}) },
		"it fails after it was done": func(f *follow) {
			f.Company.Salesforce.Fail(fakekit.Failure{Method: "PATCH", Status: 500, Times: 3, Applied: true})
		},
		"the credentials are replaced": func(f *follow) { f.Company.Salesforce.SetSecret("another") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFollow(t)
			f.says(f.Secret, true)
			f.runs(0)
			broken(f)
			f.says(f.Public, false)
			f.runs(24 * time.Hour)
			f.Company.Salesforce.Mend()
			f.SetSecret(t, vendors.Salesforce, `{"client_id":"avow","client_secret":"another"}`)
			if name != "the credentials are replaced" {
				f.SetSecret(t, vendors.Salesforce, string(vendors.Secrets()[vendors.Salesforce]))
			}
			f.Engine.Advance(t.Context(), time.Minute)
			f.runs(12 * time.Hour)
			f.wants(true, "in the end")
		})
	}
}

// A no of which nobody knows whether the vendor has taken it is not the vendor's
// own: who agrees again before it was tried again has agreed.
func TestPropagate_agreesAgain(t *testing.T) {
	t.Parallel()
	f := newFollow(t)
	f.says(f.Secret, true)
	f.runs(0)
	f.Company.Salesforce.Fail(fakekit.Failure{Method: "PATCH", Status: 500, Applied: true})
	f.says(f.Public, false)
	f.runs(0)
	f.Company.Salesforce.Mend()
	f.says(f.Secret, true)
	f.runs(time.Hour)
	f.decides(true, "granted")
	f.wants(false, "in the end")
}

// Each call of AWS and of the vendor fails in each way: nothing is lost, and the
// flag says in the end what the ledger says.
func TestPropagate_schedules(t *testing.T) {
	t.Parallel()
	const most = 8 // calls of one change; what comes later is polls, which are alike
	for _, fault := range []faulty.Fault{faulty.Refused, faulty.Lost, faulty.Throttled} {
		for name, calls := range map[string]func(*follow) *faulty.Transport{
			"vendor": func(f *follow) *faulty.Transport { return f.Vendor },
			"AWS":    func(f *follow) *faulty.Transport { return f.Doors },
		} {
			t.Run(fmt.Sprint(name, " ", fault), func(t *testing.T) {
				t.Parallel()
				f := newFollow(t)
				f.says(f.Secret, true)
				f.runs(0)
				hit := most
				for n := 1; n <= min(most, hit); n++ {
					no := n%2 == 1
					f.says(f.Secret, !no)
					calls(f).Break(nth(n, fault))
					f.runs(20 * time.Minute)
					hit = len(calls(f).Calls())
					calls(f).Reset()
					f.wants(no, fmt.Sprintf("%s %d %v:", name, n, fault))
				}
			})
		}
	}
}

func nth(n int, fault faulty.Fault) faulty.Script {
	count := 0
	return func(faulty.Call) faulty.Fault {
		if count++; count == n {
			return fault
		}
		return faulty.None
	}
}
