package salesforce_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/salesforce/fake"
)

// world is a small company for the conformance tests, with more settings.
func world(more, email string) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		a := newOrg(t, more, fake.Options{})
		a.Change(func(d *fake.Data) { // who is not looked at only takes time
			for id, r := range d.Records {
				if mail, _ := r.Fields["Email"].(string); (r.Type == "Contact" || r.Type == "Lead") && mail != company.Leo && !strings.EqualFold(mail, company.Ines) {
					delete(d.Records, id)
				}
			}
		})
		return &conformance.World{
			Vendor:  conformance.Local(a.Server),
			Connect: func(rt http.RoundTripper) (connector.Connector, error) { return a.connect(rt), nil },
			Subject: conformance.Person(email),
			Changes: []connector.Change{{Field: "phone", Old: "+33655000101", New: "+33655000199"}, {Field: "first_name", Old: "Inès", New: "Agnès"}},
			Now:     a.Now, Advance: a.Advance,
			State: func() any { return a.State() },
			Harm: func() (list []string) {
				for _, c := range a.Calls() {
					if c.Applied && c.Method == http.MethodPost && c.Route == "/composite" {
						list = append(list, c.Method+" "+c.Route)
					}
				}
				return list
			},
		}
	}
}

// The connector under every fault of every call.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world("", company.Ines))
}

// The same for somebody without an Individual, which is made once.
func TestConformance_individual(t *testing.T) {
	t.Parallel()
	check(t, world("", company.Leo), connector.Object)
	check(t, world("", company.Leo), connector.Restrict)
}

// The same for the other policies of erasure.
func TestConformance_policies(t *testing.T) {
	t.Parallel()
	check(t, world(`"erase":"soft"`, company.Ines), connector.Erase)
	check(t, world(`"erase":"mask"`, company.Ines), connector.Erase)
}

func check(t *testing.T, fresh func(testing.TB) *conformance.World, op connector.Operation) {
	t.Helper()
	findings, n := conformance.Check(t, fresh, op)
	for _, f := range findings {
		t.Error(f)
	}
	t.Logf("%s: %d schedules", op, n)
}
