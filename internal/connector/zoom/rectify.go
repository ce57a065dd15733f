package zoom

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
)

// rectify corrects the person's accounts. A field is sent only where it has the
// old value, so that a repetition finds nothing to do.
func (c *Connector) rectify(ctx context.Context, call connector.Call) (connector.Progress, error) {
	p, err := c.who(call.Subject)
	if err != nil {
		return connector.Progress{}, err
	}
	progress := connector.Progress{Done: true, Counts: map[string]int{}}
	for _, id := range p.accounts() {
		u, err := c.get(ctx, kit.To("/users/{id}", id), noUser)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		if err := c.correct(ctx, call, id, u, &progress); err != nil {
			return connector.Progress{}, err
		}
	}
	if why := c.byHand(p, call.Changes); why != "" {
		progress.Done, progress.Ask = false, &connector.Ask{
			Reason:       why,
			Instructions: "Correct it in Zoom's admin portal where that is possible. A registration cannot be edited: removing and adding it again sends new mail to the person, so agree on that with them first.",
		}
	}
	return progress, nil
}

// fields that can be corrected, as a request calls them, by Zoom's names.
var fields = map[string]string{
	"first_name": "first_name", "given_name": "first_name", "last_name": "last_name", "family_name": "last_name", "name": "display_name", "display_name": "display_name",
	"phone": "phone_number", "phone_number": "phone_number", "company": "company", "job_title": "job_title", "department": "dept", "dept": "dept", "location": "location", "language": "language",
}

func (c *Connector) correct(ctx context.Context, call connector.Call, id string, u record, progress *connector.Progress) error {
	body, done, changed := map[string]string{}, false, false
	for _, change := range call.Changes {
		field, ok := fields[change.Field]
		switch now := u.text(field); {
		case !ok:
		case now == change.New.Reveal():
			done = true
		case now == change.Old.Reveal():
			body[field] = change.New.Reveal()
		}
	}
	if len(body) > 0 {
		if _, _, err := c.do(ctx, kit.Call{Method: http.MethodPatch, Route: kit.To("/users/{id}", id), Body: body, Repeatable: true}); err != nil {
			return err
		}
		progress.Evidence, changed = append(progress.Evidence, evidence(call.Now, "PATCH /users/{id}", "204")), true
	}
	for _, change := range call.Changes {
		if change.Field != "email" || !c.managed(change) {
			continue
		}
		switch now := strings.ToLower(u.text("email")); now {
		case strings.ToLower(change.New.Reveal()):
			done = true
		case strings.ToLower(change.Old.Reveal()):
			mail := map[string]string{"email": change.New.Reveal()}
			// Three times a day: what may have been done is looked at before it is done again.
			if _, _, err := c.by(ctx, c.once, kit.Call{Method: http.MethodPut, Route: kit.To("/users/{id}/email", id), Body: mail}); err != nil {
				return err
			}
			progress.Evidence, changed = append(progress.Evidence, evidence(call.Now, "PUT /users/{id}/email", "204")), true
		}
	}
	if changed || done && call.Again {
		progress.Counts["users"]++
	}
	return nil
}

// managed reports whether Zoom lets the account change an address.
func (c *Connector) managed(change connector.Change) bool {
	in := func(mail string) bool {
		_, domain, _ := strings.Cut(strings.ToLower(mail), "@")
		return domain != "" && slices.Contains(c.config.ManagedDomains, domain)
	}
	return in(change.Old.Reveal()) && in(change.New.Reveal())
}

// byHand is why a person has to see to a correction, too; "" for nothing.
func (c *Connector) byHand(p *who, changes []connector.Change) string {
	for _, change := range changes {
		if _, ok := fields[change.Field]; !ok && !(change.Field == "email" && c.managed(change)) {
			return "Zoom lets nobody change a field of the correction from outside: an e-mail address outside the managed domains, or a field that it does not have"
		}
	}
	if slices.ContainsFunc(p.refs, func(r ref) bool { return r.what == ofMeeting || r.what == ofWebinar || r.what == ofPanel }) {
		return "the person has registrations, or is a panelist, in Zoom: these cannot be corrected there"
	}
	return ""
}
