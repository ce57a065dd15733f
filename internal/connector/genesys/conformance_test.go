package genesys_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/fakekit"
	"github.com/avow-consent/avow/internal/connector/genesys/fake"
)

func world(more string, s connector.Subject) func(testing.TB) *conformance.World {
	return func(t testing.TB) *conformance.World {
		a := newOrg(t, more, fake.Options{Parts: 2, Options: fakekit.Options{Day: 4 * time.Hour}}) // more looks only take time
		a.Change(func(d *fake.Data) {
			for key, one := range d.Subjects { // who is not looked at, too
				if !strings.Contains(strings.Join(one.EmailAddresses, ","), "ines@") && one.UserID == "" {
					delete(d.Subjects, key)
				}
			}
		})
		return &conformance.World{
			Vendor:  conformance.Local(a.Server),
			Connect: func(rt http.RoundTripper) (connector.Connector, error) { return a.connect(rt), nil },
			Subject: s,
			Changes: []connector.Change{{Field: "phone", Old: "+33655000101", New: "+33655000199"}, {Field: "name", Old: "Inès Martin", New: "Agnès Martin"}},
			Now:     a.Now, Advance: a.Advance,
			State: func() any { return a.State() },
			Harm: func() (list []string) {
				for _, c := range a.Calls() {
					if c.Applied && c.Method == http.MethodPost && c.Route == "/gdpr/requests" {
						list = append(list, c.Method+" "+c.Route)
					}
				}
				return list
			},
		}
	}
}

// The connector under every fault of every call: a customer with five
// identifiers, whose contact is deleted as well.
func TestConformance(t *testing.T) {
	t.Parallel()
	conformance.Run(t, world(`"external_contacts":"delete"`, conformance.Person(company.Ines)))
}

// The same for an employee, who is found by the directory.
func TestConformance_employee(t *testing.T) {
	t.Parallel()
	for _, op := range []connector.Operation{conformance.Locate, connector.Export, connector.Erase} {
		findings, n := conformance.Check(t, world("", employee(company.Agent)), op)
		for _, f := range findings {
			t.Error(f)
		}
		t.Logf("%s: %d schedules", op, n)
	}
}
