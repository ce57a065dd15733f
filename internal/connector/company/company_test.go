package company_test

import (
	"testing"

	"github.com/avow-consent/avow/internal/connector/company"
)

func TestPeople(t *testing.T) {
	t.Parallel()
	people := company.People()
	if len(people) != company.Size {
		t.Fatalf("%d people", len(people))
	}
	emails, phones := map[string]bool{company.Agent: true}, map[string]int{}
	for n, p := range people {
		if p.N != n || p.Given == "" || p.Family == "" || emails[p.Email] {
			t.Errorf("%+v", p)
		}
		emails[p.Email] = true
		phones[p.Phone]++
	}
	if len(phones) != company.Size-1 || phones[company.Shared] != 2 {
		t.Errorf("%d telephones, %d share one", len(phones), phones[company.Shared])
	}
}
