package zendesksupport_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/company"
	"github.com/avow-consent/avow/internal/connector/conformance"
	"github.com/avow-consent/avow/internal/connector/zendesksupport/fake"
)

// retry begins again as the engine does when a person has said "retry": with
// Start, and the last handle.
func (d *desk) retry(call connector.Call) connector.Progress {
	d.t.Helper()
	call.Again, call.Now = true, d.Now()
	first, err := d.c.Start(d.t.Context(), call)
	if err != nil || first.Ask != nil {
		d.t.Fatalf("%+v, %v", first, err)
	}
	d.Advance(first.After)
	call.Handle = first.Handle
	p := d.must(call)
	p.Kept = append(first.Kept, p.Kept...)
	return p
}

// complete counts the products that have said so in evidence.
func complete(list []connector.Evidence) (n int) {
	for _, e := range list {
		if strings.HasSuffix(e.Answer, " complete") {
			n++
		}
	}
	return n
}

// two is a person who has two users, both with copies of a closed ticket.
func two(d *desk) (s connector.Subject, first, second int64) {
	first, second = d.Find(company.Leo), d.Find(company.Mo)
	for _, id := range []int64{first, second} {
		s.Identifiers = append(s.Identifiers, conformance.By("support.user_id", strconv.FormatInt(id, 10)))
	}
	d.AddTicket(fake.Ticket{Requester: d.Find(company.Ines), CCs: []int64{first}}, "<p>x</p>")
	return s, first, second
}

// A user that was purged before a "retry" is still waited for, and what stays is
// said once.
func TestErase_retry(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s, first, second := two(d)
	d.Update(second, func(u *fake.User) { u.Locked = true })
	p, err := d.drive(erase(s))
	if err != nil || p.Ask == nil || d.user(first).Status != fake.Purged || len(p.Kept) != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	d.Update(second, func(u *fake.User) { u.Locked = false })
	d.AddTicket(fake.Ticket{Requester: d.Find(company.Ines), CCs: []int64{second}}, "<p>x</p>")
	call := erase(s)
	call.Handle = p.Handle
	p = d.retry(call)
	if n := complete(p.Evidence); n != 6 {
		t.Errorf("%d products of two users: %+v", n, p.Evidence)
	}
	if len(p.Kept) != 1 || !strings.HasPrefix(p.Kept[0].What, "1 closed tickets") {
		t.Errorf("%+v", p.Kept)
	}
}

// An erasure that is begun again does not know what was purged before: no answer
// goes out while a product still purges.
func TestVerify_purging(t *testing.T) {
	t.Parallel()
	d := small(t, "")
	s := d.located(conformance.Person(company.Leo))
	call := erase(s)
	for do := d.c.Start; d.Find(company.Leo) != 0; do = d.c.Poll {
		call.Now = d.Now()
		p, err := do(t.Context(), call)
		if err != nil {
			t.Fatal(err)
		}
		call.Handle = p.Handle
		d.Advance(p.After)
	}
	purged := d.Now()
	d.must(erase(s))
	if r := d.verify(s); len(r.Counts) != 0 || complete(r.Evidence) != 3 || d.Now().Sub(purged) < 30*time.Hour {
		t.Errorf("after %v: %+v", d.Now().Sub(purged), r)
	}
}
