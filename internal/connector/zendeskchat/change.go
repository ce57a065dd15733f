package zendeskchat

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/identity"
)

// An amendment changes chats by PUT and looks afterwards: which fields can be
// changed, Zendesk does not document, and an answer of 200 proves nothing.
type amendment struct {
	// body is what to send for a chat; nil: it needs nothing.
	body func(*document) any
	done string // for evidence
	ask  connector.Ask
}

// amending is the work of an amendment. Only what is still to be changed is
// sent, so that a repetition finds nothing to do; what the attempt before it has
// done counts, because it was listed.
func (c *Connector) amending(a amendment) work {
	needs := func(d *document) bool { return a.body(d) != nil }
	return work{
		wants: needs, size: writes, rounds: true, call: "PUT /chats/{id}", done: a.done,
		do: func(ctx context.Context, ids []string) (connector.Progress, error) {
			docs, err := c.chats(ctx, ids)
			if err != nil {
				return connector.Progress{}, err
			}
			sent := false
			for _, d := range docs {
				body := a.body(d)
				if body == nil {
					continue
				}
				call := kit.Call{Method: http.MethodPut, Route: kit.To("/chats/{id}", d.ID), Body: body, Expect: []int{http.StatusNotFound}}
				if _, err := c.do(ctx, call); err != nil {
					return connector.Progress{}, err
				}
				sent = true
			}
			if sent {
				if docs, err = c.chats(ctx, ids); err != nil {
					return connector.Progress{}, err
				}
			}
			p := connector.Progress{Counts: map[string]int{"chats": len(docs)}}
			if slices.ContainsFunc(docs, needs) {
				p.Counts, p.Ask = nil, &a.ask
			}
			return p, nil
		},
	}
}

// rectifying corrects what the visitor is called in the person's chats, where
// the old value stands. The person's details themselves are kept in Support.
func (c *Connector) rectifying(call connector.Call) work {
	w := c.amending(amendment{
		body: func(d *document) any {
			corrected, changed := d.Visitor.corrected(call.Changes)
			if !changed {
				return nil
			}
			return map[string]any{"visitor": corrected}
		},
		done: "corrected",
		ask: connector.Ask{
			Reason:       "Zendesk Chat accepts the correction of a chat's visitor but does not make it",
			Instructions: "Correct the person in Zendesk Support. Then correct the visitor of each of their chats in the Chat dashboard, under History.",
		},
	})
	w.end = func(p *connector.Progress, _ int) {
		if slices.ContainsFunc(call.Changes, func(change connector.Change) bool { return !slices.Contains(correctable, change.Field) }) {
			p.Done, p.Ask = false, &connector.Ask{
				Reason:       "Zendesk Chat has no such field of its own: a correction may be needed in transcripts or notes",
				Instructions: "Look for the old value in the person's chats. A transcript cannot be changed: where it is wrong, delete the chat or add a note to it.",
			}
		}
	}
	return w
}

// correctable are the fields of a visitor that can be corrected.
var correctable = []string{"name", "email", "phone"}

// corrected is the visitor with the new values in the place of the old ones. An
// addition has no old value and changes nothing: a chat is a record of what was
// typed then.
func (v visitor) corrected(changes []connector.Change) (sent map[string]string, changed bool) {
	sent = map[string]string{"name": v.Name, "email": v.Email, "phone": v.Phone, "notes": v.Notes}
	for _, change := range changes {
		now, old, wanted := sent[change.Field], change.Old.Reveal(), change.New.Reveal()
		if !slices.Contains(correctable, change.Field) || old == "" || now == wanted {
			continue
		}
		kind := map[string]identity.Kind{"email": identity.Email, "phone": identity.Phone}[change.Field]
		if now == old || kind != "" && same(kind, now, old) {
			sent[change.Field], changed = wanted, true
		}
	}
	return sent, changed
}

// tagging marks the person's chats. A tag stops nothing by itself: unless the
// company's triggers and exports act on it, a person is asked.
func (c *Connector) tagging(tag string) work {
	w := c.amending(amendment{
		body: func(d *document) any {
			if d.Type == offline || slices.Contains(d.Tags, tag) { // a message that was left has no tags
				return nil
			}
			return map[string]any{"tags": append(slices.Clone(d.Tags), tag)}
		},
		done: "tagged " + tag,
		ask: connector.Ask{
			Reason:       "Zendesk Chat accepts a tag for a finished chat but does not set it",
			Instructions: stopByHand,
		},
	})
	w.end = func(p *connector.Progress, chats int) {
		if chats > 0 && !c.config.TagsSuffice {
			p.Done, p.Ask = false, &connector.Ask{
				Reason:       fmt.Sprintf("the person has %d chats, marked %s except for messages left offline, but nothing in the API of Zendesk Chat stops triggers, campaigns or exports for one person", chats, tag),
				Instructions: stopByHand,
			}
		}
	}
	return w
}

const stopByHand = "Take the person out of proactive triggers and campaigns, and out of lists that were made from chats. Tell those who read transcripts to leave the marked ones alone."
