package zendeskmessaging

import (
	"context"
	"net/http"
	"slices"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An erasure empties the conversations of each user, one after the other, and
// deletes each user at the end, which the vendor does in its own time:
//
//	of the person alone:  remove the files of each message, delete the conversation
//	the default one:      remove the files, delete its messages: the vendor refuses to delete it
//	with other people:    delete what the person wrote, with its files, and leave
//
// The list of a user's conversations is read again until nothing is left in it.
// What is deleted stands in the handle before, so that it may be repeated, and
// what is gone already counts because it was found.

// erasing is the handle of an erasure.
type erasing struct {
	Stage   string   `json:"stage"`
	All     []string `json:"all"`               // the person's records that are there
	Users   []string `json:"users"`             // whose conversations are still to be emptied, or, then, who is still to be deleted
	Queue   []talk   `json:"queue,omitempty"`   // conversations to be emptied; the first one now
	Ready   []talk   `json:"ready,omitempty"`   // that have no files left, to be deleted
	Emptied []string `json:"emptied,omitempty"` // default conversations, which stay in the list
	Next    string   `json:"next,omitempty"`    // page of the list, while it is full of such
	Before  string   `json:"before,omitempty"`  // page of the first conversation's messages
	Pages   int      `json:"pages,omitempty"`   // that were read of it
	Mine    []piece  `json:"mine,omitempty"`    // messages to be deleted, in a conversation with other people
	Rounds  int      `json:"rounds,omitempty"`  // lists that were read
	Looks   int      `json:"looks,omitempty"`   // after users that were deleted
	Told    bool     `json:"told,omitempty"`    // the certificate says that messages stay
	Refused bool     `json:"refused,omitempty"` // and that files do
}

// piece is a message to be deleted, with the address of its file.
type piece struct {
	ID   string `json:"id"`
	File string `json:"file,omitempty"`
}

// The stages.
const (
	stageTalks  = "conversations"
	stageUsers  = "users"
	stagePurged = "purged"
)

// refusedFiles counts files that the vendor does not remove.
const refusedFiles = "files not removed"

const (
	maxRounds = 1000 // a person who talks faster than this is no person
	maxLooks  = 60   // about two months by the usual policy
	maxReads  = 10   // pages of messages in one Poll
)

func (c *Connector) startErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := erasing{Stage: stageTalks}
	if call.Handle != "" { // a person has said "retry": what stays is said once
		var before erasing
		if err := kit.ParseHandle(call.Handle, &before); err != nil {
			return connector.Progress{}, err
		}
		h.Told, h.Refused = before.Told, before.Refused
	}
	for _, id := range c.users(call.Subject) {
		u, err := c.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u != nil {
			h.All = append(h.All, id)
		}
	}
	if h.Users = h.All; len(h.Users) == 0 {
		return connector.Progress{Done: true}, nil
	}
	if c.config.Erase == erasePersonal {
		h.Stage = stageUsers
	}
	return pending(h), nil
}

// pending goes on after a second.
func pending(h erasing) connector.Progress {
	return connector.Progress{Handle: kit.Handle(h), After: soon}
}

func (c *Connector) pollErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h erasing
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	if len(h.Users) == 0 {
		return connector.Progress{}, errs.New(errs.Internal, "the handle of an erasure names nobody")
	}
	switch {
	case h.Stage == stagePurged:
		return c.awaitPurge(ctx, call, h)
	case h.Stage == stageUsers && c.config.Erase == erasePersonal:
		return c.clearUser(ctx, call, h)
	case h.Stage == stageUsers:
		return c.deleteUsers(ctx, call, h)
	case len(h.Ready) >= perPoll, len(h.Ready) > 0 && (len(h.Queue) == 0 || h.Queue[0].Shared):
		return c.deleteReady(ctx, call, h)
	case len(h.Queue) == 0:
		return c.listTalks(ctx, h)
	case h.Queue[0].Shared:
		return c.emptyShared(ctx, call, h)
	}
	return c.emptyOwn(ctx, call, h)
}

// listTalks reads which conversations are left to a user. When there are none,
// the next user's are; when nobody has any, the users themselves.
func (c *Connector) listTalks(ctx context.Context, h erasing) (connector.Progress, error) {
	list, next, err := c.conversations(ctx, h.Users[0], h.Next)
	if err != nil {
		return connector.Progress{}, err
	}
	for _, one := range list {
		if !slices.Contains(h.Emptied, one.ID) {
			h.Queue = append(h.Queue, talk{ID: one.ID, Shared: !one.personal(), Default: one.Default})
		}
	}
	h.Rounds++
	switch {
	case h.Rounds > maxRounds:
		return connector.Progress{}, errs.New(errs.Conflict, "%s: new conversations appear as fast as they are deleted", c.inventory.System)
	case len(h.Queue) > 0:
		h.Next = "" // what is deleted leaves the list
	case next != "":
		h.Next = next
	default:
		h.Next, h.Users, h.Rounds = "", h.Users[1:], 0
		if len(h.Users) == 0 {
			h.Stage, h.Users = stageUsers, h.All
		}
	}
	// Said before the person leaves: after that the conversation is in no list.
	var kept []connector.Kept
	if c.config.Groups == groupsKeep && !h.Told && slices.ContainsFunc(h.Queue, func(t talk) bool { return t.Shared }) {
		h.Told = true
		kept = []connector.Kept{c.kept("what the person wrote in conversations with other people")}
	}
	p := pending(h)
	p.Kept = kept
	return p, nil
}

// emptyOwn removes the files of conversations of the person alone, page after
// page. The messages stay until their conversation is deleted in a Poll of its
// own, so that a repetition reads, and counts, the same.
func (c *Connector) emptyOwn(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	p := connector.Progress{Counts: map[string]int{}}
	writes := 0
	for range maxReads {
		list, before, err := c.messages(ctx, h.Queue[0].ID, h.Before)
		if err != nil {
			return connector.Progress{}, err
		}
		if h.Pages++; h.Pages > maxTurns {
			return connector.Progress{}, c.endless()
		}
		rest, err := c.removeFiles(ctx, list, h.All, &writes, p.Counts)
		if err != nil {
			return connector.Progress{}, err
		}
		if rest > 0 {
			h.Before = list[len(list)-rest-1].ID
			break
		}
		if h.Before = before; before == "" {
			h.Ready, h.Queue, h.Pages = append(h.Ready, h.Queue[0]), h.Queue[1:], 0
			if len(h.Queue) == 0 || h.Queue[0].Shared {
				break
			}
		}
		if writes >= perPoll {
			break
		}
	}
	return goOn(p, h, call, "POST /attachments/remove", p.Counts["files"]), nil
}

// removeFiles removes the files of messages, as long as there may be more
// writes, and returns how many messages are left.
func (c *Connector) removeFiles(ctx context.Context, list []message, own []string, writes *int, counts map[string]int) (rest int, err error) {
	for i, m := range list {
		if *writes >= perPoll {
			return len(list) - i, nil
		}
		if !m.Deleted {
			counts["messages"]++
		}
		if m.file() == "" || c.config.Attachments == attachmentsPerson && !m.by(own) {
			continue
		}
		if err := c.removeFile(ctx, m.file(), counts); err != nil {
			return 0, err
		}
		*writes++
	}
	return 0, nil
}

// goOn is a piece of work that was done, with its evidence.
func goOn(p connector.Progress, h erasing, call connector.Call, what string, n int) connector.Progress {
	if p.Counts[refusedFiles] > 0 && !h.Refused {
		h.Refused = true
		p.Kept = append(p.Kept, connector.Kept{
			What:   "files of messages that the vendor does not remove",
			Ground: "Art. 4(7) GDPR",
			Reason: "the vendor refuses to remove what lies at another host: it must be removed there",
		})
	}
	if n > 0 {
		p.Evidence = append(p.Evidence, connector.Evidence{At: call.Now, Call: what, Answer: "200"})
	}
	p.Handle, p.After = kit.Handle(h), soon
	return p
}

// removeFile removes an upload. Files of messages that were uploaded for a
// message go with it; of the others nobody would know after it. The vendor
// refuses (400) what another host has; what is gone already was found before.
func (c *Connector) removeFile(ctx context.Context, link string, counts map[string]int) error {
	a, err := c.api.Do(ctx, kit.Call{
		Method: http.MethodPost, Route: c.to("/attachments/remove"), Body: map[string]string{"mediaUrl": link},
		Repeatable: true, Expect: []int{http.StatusBadRequest, http.StatusNotFound},
	})
	switch {
	case err != nil:
		return err
	case a.Status == http.StatusBadRequest:
		counts[refusedFiles]++
	default:
		counts["files"]++
	}
	return nil
}

// deleteReady deletes conversations without files. The vendor refuses to delete
// the default one, and says so with 400: its messages go, and it goes with its
// user.
func (c *Connector) deleteReady(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	n := min(perPoll, len(h.Ready))
	done := map[string]bool{}
	for _, at := range h.Ready[:n] {
		if !at.Default {
			a, err := c.remove(ctx, c.to("/conversations/{id}", at.ID), http.StatusBadRequest)
			if err != nil {
				return connector.Progress{}, err
			}
			if a.Status != http.StatusBadRequest {
				done["DELETE /conversations/{id}"] = true
				continue
			}
		}
		if _, err := c.remove(ctx, c.to("/conversations/{id}/messages", at.ID)); err != nil {
			return connector.Progress{}, err
		}
		done["DELETE /conversations/{id}/messages"] = true
		h.Emptied = append(h.Emptied, at.ID)
	}
	h.Ready = h.Ready[n:]
	p := connector.Progress{Counts: map[string]int{"conversations": n}, Handle: kit.Handle(h), After: soon}
	for _, what := range sorted(done) {
		p.Evidence = append(p.Evidence, connector.Evidence{At: call.Now, Call: what, Answer: "200"})
	}
	return p, nil
}

// remove deletes what was found before: 404 is an outcome, and so are the other
// statuses.
func (c *Connector) remove(ctx context.Context, route kit.Route, outcomes ...int) (*kit.Answer, error) {
	return c.api.Do(ctx, kit.Call{Method: http.MethodDelete, Route: route, Expect: append(outcomes, http.StatusNotFound)})
}

// emptyShared deletes what the person wrote among other people, then has the
// person leave: what deleting the user does to a conversation of several is not
// documented, and it must not take what others wrote.
func (c *Connector) emptyShared(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	switch {
	case c.config.Groups == groupsKeep:
		return c.leave(ctx, call, h)
	case len(h.Mine) > 0:
		return c.deleteMine(ctx, call, h)
	}
	list, before, err := c.messages(ctx, h.Queue[0].ID, h.Before)
	if err != nil {
		return connector.Progress{}, err
	}
	if h.Pages++; h.Pages > maxTurns {
		return connector.Progress{}, c.endless()
	}
	survivor := ""
	for _, m := range list {
		switch {
		case m.Deleted || !m.by(h.All):
			survivor = m.ID
		case len(h.Mine) < perPoll:
			h.Mine = append(h.Mine, piece{ID: m.ID, File: m.file()})
		}
	}
	switch {
	case len(h.Mine) > 0: // and the same page again
	case before == "":
		return c.leave(ctx, call, h)
	default:
		h.Before = survivor // a page of which nothing is deleted ends with one; a deleted message is no cursor
	}
	return pending(h), nil
}

// deleteMine deletes messages that the person wrote, each after its file.
func (c *Connector) deleteMine(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	p := connector.Progress{Counts: map[string]int{}}
	for _, m := range h.Mine {
		if m.File != "" {
			if err := c.removeFile(ctx, m.File, p.Counts); err != nil {
				return connector.Progress{}, err
			}
		}
		if _, err := c.remove(ctx, c.to("/conversations/{id}/messages/{message}", h.Queue[0].ID, m.ID)); err != nil {
			return connector.Progress{}, err
		}
	}
	n := len(h.Mine)
	p.Counts["messages"], h.Mine = n, nil
	return goOn(p, h, call, "DELETE /conversations/{id}/messages/{message}", n), nil
}

// leave takes the person's records out of a conversation. 404: they are out.
func (c *Connector) leave(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	for _, id := range h.All {
		_, err := c.api.Do(ctx, kit.Call{
			Method: http.MethodPost, Route: c.to("/conversations/{id}/leave", h.Queue[0].ID), Body: map[string]string{"userId": id},
			Repeatable: true, Expect: []int{http.StatusNotFound},
		})
		if err != nil {
			return connector.Progress{}, err
		}
	}
	h.Queue, h.Before, h.Pages = h.Queue[1:], "", 0
	return goOn(connector.Progress{Counts: map[string]int{"shared conversations": 1}}, h, call, "POST /conversations/{id}/leave", 1), nil
}

// deleteUsers deletes the users, who have nothing left.
func (c *Connector) deleteUsers(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	for _, id := range h.Users {
		u, err := c.user(ctx, id) // an id that is another user's external id by now deletes nobody
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		if _, err := c.remove(ctx, c.to("/users/{id}", id)); err != nil {
			return connector.Progress{}, err
		}
	}
	h.Stage = stagePurged
	return goOn(connector.Progress{}, h, call, "DELETE /users/{id}", 1), nil
}

// awaitPurge looks until the users are gone: the vendor deletes them in its own
// time.
func (c *Connector) awaitPurge(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	var waiting []string
	p := connector.Progress{Counts: map[string]int{}}
	for _, id := range h.Users {
		u, err := c.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u != nil {
			waiting = append(waiting, id)
			continue
		}
		p.Counts["users"]++
		p.Evidence = append(p.Evidence, connector.Evidence{At: call.Now, Call: "GET /users/{id}", Answer: "404"})
	}
	if h.Looks++; len(waiting) > 0 && h.Looks > maxLooks {
		return connector.Progress{}, errs.New(errs.Conflict, "%s: the vendor has not completed the deletion of a user: ask its support", c.inventory.System)
	}
	h.Users = waiting
	p.Handle, p.Done = kit.Handle(h), len(waiting) == 0
	return p, nil
}

func (c *Connector) kept(what string) connector.Kept {
	return connector.Kept{What: what, Ground: c.config.Ground, Reason: "policy of systems.json"}
}

// clearUser clears what identifies one user, and leaves the messages. A channel
// keeps the number under which it knows the person, so that channels are removed,
// too; those of the site and the apps cannot be, and know no number.
func (c *Connector) clearUser(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	id := h.Users[0]
	clients, err := c.clients(ctx, id)
	if err != nil {
		return connector.Progress{}, err
	}
	for _, one := range clients {
		if one.Type == sdk {
			continue
		}
		if _, err := c.remove(ctx, c.to("/users/{id}/clients/{client}", id, one.ID)); err != nil {
			return connector.Progress{}, err
		}
	}
	if _, err := c.remove(ctx, c.to("/users/{id}/personalinformation", id)); err != nil {
		return connector.Progress{}, err
	}
	h.Users = h.Users[1:]
	p := goOn(connector.Progress{Counts: map[string]int{"users": 1}}, h, call, "DELETE /users/{id}/personalinformation", 1)
	if p.Done = len(h.Users) == 0; p.Done {
		p.Kept = []connector.Kept{c.kept("messages, and the user's own and external ids")}
	}
	return p, nil
}

// sdk is the type of client that a site or an app of the company is.
const sdk = "sdk"
