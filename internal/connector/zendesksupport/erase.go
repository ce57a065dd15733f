package zendesksupport

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/avow-consent/avow/internal/connector"
	"github.com/avow-consent/avow/internal/connector/kit"
	"github.com/avow-consent/avow/internal/errs"
)

// An erasure goes, for each of the person's users: the tickets that the person
// has asked for (deleted for good, or redacted), tickets of others that copy the
// person, suspended tickets; then the user, which is deleted and purged; then
// Zendesk is asked for days which of its products have purged it.
//
// What is worked on next is listed into the handle first, one batch at a time,
// and dealt with in the following Polls: so every deletion names an immutable id
// that was found before, may be repeated, and is counted once.

// erasing is the handle of an erasure.
type erasing struct {
	Stage  stage   `json:"stage"`
	Users  []int64 `json:"users"`            // to be deleted
	Purged []int64 `json:"purged,omitempty"` // deleted, until every product says so
	At     int     `json:"at"`               // of Users, whose tickets are dealt with
	Batch  []int64 `json:"batch,omitempty"`  // tickets that were listed
	Cursor string  `json:"cursor,omitempty"` // where the list goes on that Batch is of
	Job    string  `json:"job,omitempty"`
	Looks  int     `json:"looks,omitempty"`  // at Job
	Tries  int     `json:"tries,omitempty"`  // at Batch
	Rounds int     `json:"rounds,omitempty"` // batches so far
	// How many tickets of others that copy a user cannot be changed, and of how many
	// the certificate says so already.
	Closed   map[int64]int `json:"closed,omitempty"`
	Told     map[int64]int `json:"told,omitempty"`
	Redacted bool          `json:"redacted,omitempty"` // the certificate says that tickets stay
	Chats    bool          `json:"chats,omitempty"`    // a person was asked about chats that would be lost
	Last     int64         `json:"last,omitempty"`     // archived ticket that was listed
}

// stage is what the next Poll does.
type stage string

const (
	listTickets  stage = "list"     // of the person
	trash        stage = "trash"    // delete Batch
	trashing     stage = "trashing" // Job does it
	purge        stage = "purge"    // delete Batch for good
	purging      stage = "purging"
	redacting    stage = "redact"   // Batch, instead of the four
	listArchived stage = "archived" // of the person, to be redacted
	listOthers   stage = "others"   // tickets that copy the person
	withdrawing  stage = "withdraw"
	listFollowed stage = "followed"
	unfollowing  stage = "unfollow"
	listHeld     stage = "suspended"
	discarding   stage = "discard"
	users        stage = "users"
	awaiting     stage = "await" // the products
)

const (
	batchPage   = 25   // tickets whose texts are dealt with one by one
	usersAtOnce = 5    // deleted in one Poll
	maxRounds   = 1000 // a person who writes faster than this is no person
	maxTries    = 3
	jobPause    = 5 * time.Second
	maxLooks    = 60 // after that the policy decides how often a job is looked at
)

func (w *work) startErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	h := erasing{Stage: listTickets}
	if call.Handle != "" { // a person has said "retry"
		var before erasing
		if err := kit.ParseHandle(call.Handle, &before); err != nil {
			return connector.Progress{}, err
		}
		h.Purged, h.Told, h.Redacted, h.Chats = before.Purged, before.Told, before.Redacted, before.Chats
	}
	for _, id := range w.users(call.Subject) {
		u, err := w.user(ctx, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if u == nil {
			continue
		}
		if u.staff() {
			return h.ask(agentAsk), nil
		}
		h.Users = append(h.Users, id)
	}
	if !h.Chats && len(call.Subject.Of(w.own("chat_id"))) > keptIDs {
		h.Chats = true
		return h.ask(chatsAsk), nil
	}
	return h.next(soon), nil // without a user there may still be suspended tickets
}

// next is the progress after a piece of work.
func (h erasing) next(after time.Duration) connector.Progress {
	return connector.Progress{Handle: kit.Handle(h), After: after}
}

// ask puts the matter to a person. What has to be known after "retry" stays in
// the handle.
func (h erasing) ask(ask *connector.Ask) connector.Progress {
	return connector.Progress{Handle: kit.Handle(h), Ask: ask}
}

// to goes on to a stage with a batch of its own.
func (h erasing) to(s stage) erasing {
	h.Stage, h.Batch, h.Cursor, h.Job, h.Looks, h.Tries = s, nil, "", "", 0, 0
	return h
}

var agentAsk = &connector.Ask{
	Reason:       "the person is an agent of Zendesk Support, who cannot be deleted while being one",
	Instructions: "1. Give the agent's open tickets, views, macros and automations to somebody else. 2. In Admin Center, change the agent's role to end user. 3. Retry: Avow then deletes the user.",
	Retry:        true,
}

var chatsAsk = &connector.Ask{
	Reason:       "more chats became tickets of the person than a request keeps the ids of: once the tickets are gone, nothing leads to the chats of a visitor without an e-mail",
	Instructions: "1. Look in Zendesk through the person's tickets that were chats, and delete those chats in the Chat dashboard that the request has not deleted. 2. Retry: Avow then goes on with the tickets.",
	Retry:        true,
}

var blockedAsk = &connector.Ask{
	Reason:       "Zendesk refuses to delete the user although no ticket is left",
	Instructions: "1. Open the user in Zendesk. 2. If it is the placeholder of a shared ticket, end the sharing of that ticket. 3. If it was made by the legacy Chat, or still has open assignments, ask Zendesk's support to release it. 4. Retry.",
	Retry:        true,
}

var openAsk = &connector.Ask{
	Reason:       "a ticket of the person cannot be closed by rule of the account, such as a required field, and a user with a ticket that is not closed cannot be deleted",
	Instructions: "1. Open the tickets of the user that are not closed. 2. Fill in what they need, and solve them. 3. Retry: Avow then closes them and deletes the user.",
	Retry:        true,
}

func (w *work) pollErase(ctx context.Context, call connector.Call) (connector.Progress, error) {
	var h erasing
	if err := kit.ParseHandle(call.Handle, &h); err != nil {
		return connector.Progress{}, err
	}
	if h.At >= len(h.Users) && !slices.Contains([]stage{listHeld, discarding, users, awaiting}, h.Stage) {
		h = h.to(listHeld)
	}
	do, ok := map[stage]func(context.Context, connector.Call, erasing) (connector.Progress, error){
		listTickets: w.listTickets, trash: w.trash, trashing: w.trashing, purge: w.purge, purging: w.purging, redacting: w.redactBatch, listArchived: w.listArchived,
		listOthers: w.listOthers, withdrawing: w.withdrawBatch, listFollowed: w.listFollowed, unfollowing: w.unfollowBatch,
		listHeld: w.listHeld, discarding: w.discard, users: w.deleteUsers, awaiting: w.await,
	}[h.Stage]
	if !ok {
		return connector.Progress{}, errs.New(errs.Internal, "%s: an erasure has no stage %q", w.inventory.System, kit.Token(string(h.Stage)))
	}
	return do(ctx, call, h)
}

// listTickets reads which tickets of the person are next. Deleted ones leave the
// list, so that it is read from its beginning; redacted ones stay in it.
func (w *work) listTickets(ctx context.Context, _ connector.Call, h erasing) (connector.Progress, error) {
	id, size, then := h.Users[h.At], pageSize, trash
	if w.config.Tickets == redactTickets {
		size, then = batchPage, redacting
	}
	if err := w.round(&h); err != nil {
		return connector.Progress{}, err
	}
	tickets, next, err := w.tickets(ctx, id, requested, size, h.Cursor)
	if err == nil && len(tickets) == 0 && then == trash {
		tickets, err = w.archived(ctx, id)
	}
	if err != nil {
		return connector.Progress{}, err
	}
	switch {
	case len(tickets) > 0:
	case then == redacting:
		return h.to(listArchived).next(soon), nil
	default:
		return h.to(listOthers).next(soon), nil
	}
	h = h.to(then)
	h.Cursor = next
	return w.listed(h, tickets), nil
}

// round counts the lists that were read.
func (w *work) round(h *erasing) error {
	if h.Rounds++; h.Rounds > maxRounds {
		return errs.New(errs.Conflict, "%s: new tickets appear as fast as they are dealt with", w.inventory.System)
	}
	return nil
}

// listArchived reads which tickets the list did not show are next to be redacted.
func (w *work) listArchived(ctx context.Context, _ connector.Call, h erasing) (connector.Progress, error) {
	id := h.Users[h.At]
	ids, err := w.unlisted(ctx, id, h.Last, pageSize)
	if err != nil {
		return connector.Progress{}, err
	}
	if len(ids) == 0 {
		return h.to(listOthers).next(soon), nil
	}
	tickets, err := w.existing(ctx, ids)
	if err != nil {
		return connector.Progress{}, err
	}
	h = h.to(redacting)
	h.Last = ids[len(ids)-1]
	return w.listed(h, slices.DeleteFunc(tickets, func(t ticket) bool { return t.Requester != id })), nil
}

// listed has a batch of tickets. Where they are redacted it says what stays,
// once.
func (w *work) listed(h erasing, tickets []ticket) connector.Progress {
	for _, t := range tickets {
		h.Batch = append(h.Batch, t.ID)
	}
	tell := h.Stage == redacting && len(tickets) > 0 && !h.Redacted
	h.Redacted = h.Redacted || tell
	p := h.next(soon)
	if tell {
		p.Kept = []connector.Kept{{
			What: "the person's tickets without what the person wrote: what agents wrote, ratings with their comments, tags, and the technical data of messages; " +
				"the subject and the fields of tickets that were closed before, and fields that a rule of the account requires",
			Ground: w.config.Ground, Reason: "policy of systems.json",
		}}
	}
	return p
}

// archived are up to 100 tickets of a user that the list does not show: the
// search shows archived ones, too.
func (w *work) archived(ctx context.Context, user int64) (tickets []ticket, err error) {
	err = w.found(ctx, "requester:"+number(user), func(page []ticket, _ bool) (bool, error) {
		for _, t := range page {
			if t.Requester == user {
				tickets = append(tickets, t)
			}
		}
		return len(tickets) > 0, nil
	})
	return tickets, err
}

// trash begins to delete the batch. The job's id is stored at once: Zendesk
// keeps its record for a day at the most.
func (w *work) trash(ctx context.Context, _ connector.Call, h erasing) (connector.Progress, error) {
	id, gone, err := w.begin(ctx, kit.To("/tickets/destroy_many").With("ids", list(h.Batch)))
	if err != nil {
		return connector.Progress{}, err
	}
	if gone {
		h.Stage = purge
		return h.next(soon), nil
	}
	h.Stage, h.Job, h.Looks = trashing, id, 0
	return h.next(jobPause), nil
}

// trashing waits for the job. What counts is not what it says but which tickets
// are still there: one that somebody else has deleted is an error of the job.
func (w *work) trashing(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	outcome, err := w.job(ctx, h.Job)
	if err != nil {
		return connector.Progress{}, err
	}
	if outcome == running {
		return h.look(), nil
	}
	left, err := w.existing(ctx, h.Batch)
	if err != nil {
		return connector.Progress{}, err
	}
	if len(left) > 0 {
		return w.again(h, trash, len(left))
	}
	p := h.then(purge).next(soon)
	p.Evidence = []connector.Evidence{said(call.Now, "DELETE /tickets/destroy_many", "job "+kit.Token(h.Job)+" "+outcome)}
	return p, nil
}

// then goes on to a stage with the same batch.
func (h erasing) then(s stage) erasing {
	h.Stage, h.Job, h.Looks, h.Tries = s, "", 0, 0
	return h
}

// look asks again for a job later.
func (h erasing) look() connector.Progress {
	if h.Looks++; h.Looks > maxLooks {
		return h.next(0)
	}
	return h.next(jobPause)
}

// again repeats a deletion that was not carried out, a few times.
func (w *work) again(h erasing, s stage, left int) (connector.Progress, error) {
	if h.Tries++; h.Tries >= maxTries {
		return connector.Progress{}, errs.New(errs.Conflict, "%s: Zendesk does not delete %d tickets: may the API client's user delete tickets?", w.inventory.System, left)
	}
	h.Stage, h.Job = s, ""
	return h.next(jobPause), nil
}

// purge begins to delete the batch for good.
func (w *work) purge(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	id, gone, err := w.begin(ctx, kit.To("/deleted_tickets/destroy_many").With("ids", list(h.Batch)))
	if err != nil {
		return connector.Progress{}, err
	}
	if gone {
		return h.purged(call, "404"), nil
	}
	h.Stage, h.Job, h.Looks = purging, id, 0
	return h.next(jobPause), nil
}

func (w *work) purging(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	outcome, err := w.job(ctx, h.Job)
	switch {
	case err != nil:
		return connector.Progress{}, err
	case outcome == running:
		return h.look(), nil
	case outcome == failed:
		return w.again(h, purge, len(h.Batch))
	}
	return h.purged(call, "job "+kit.Token(h.Job)+" completed"), nil
}

// purged counts a batch that is gone for good, and lists the next one.
func (h erasing) purged(call connector.Call, answer string) connector.Progress {
	p := h.to(listTickets).next(soon)
	p.Counts = map[string]int{"tickets": len(h.Batch)}
	p.Evidence = []connector.Evidence{said(call.Now, "DELETE /deleted_tickets/destroy_many", answer)}
	return p
}

// listHeld reads which suspended tickets are the person's.
func (w *work) listHeld(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	if err := w.round(&h); err != nil {
		return connector.Progress{}, err
	}
	held, err := w.suspended(ctx, call.Subject, h.Users)
	if err != nil {
		return connector.Progress{}, err
	}
	h = h.to(users)
	if len(held.ids) > 0 {
		h.Stage, h.Batch = discarding, held.ids[:min(len(held.ids), pageSize)]
	}
	return h.next(soon), nil
}

// discard deletes suspended tickets, for good.
func (w *work) discard(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	route := kit.To("/suspended_tickets/destroy_many").With("ids", list(h.Batch))
	_, err := w.do(ctx, kit.Call{Method: http.MethodDelete, Route: route, Expect: []int{http.StatusNotFound}})
	if err != nil {
		return connector.Progress{}, err
	}
	p := h.to(listHeld).next(soon)
	p.Counts = map[string]int{"suspended_tickets": len(h.Batch)}
	p.Evidence = []connector.Evidence{said(call.Now, "DELETE /suspended_tickets/destroy_many", "204")}
	return p, nil
}

// deleteUsers deletes some users and has them purged.
func (w *work) deleteUsers(ctx context.Context, call connector.Call, h erasing) (connector.Progress, error) {
	counts := map[string]int{}
	var evidence []connector.Evidence
	for len(h.Users) > 0 && counts["users"] < usersAtOnce {
		id := h.Users[0]
		gone, refused, err := w.deleteUser(ctx, call, id)
		if err != nil {
			return connector.Progress{}, err
		}
		if refused {
			p, err := w.blocked(ctx, id, h)
			p.Counts, p.Evidence = counts, evidence
			return p, err
		}
		h.Users, h.Purged = h.Users[1:], append(h.Purged, id)
		counts["users"]++
		evidence = append(evidence, gone)
	}
	if len(h.Users) == 0 {
		h = h.to(awaiting)
	}
	p := h.next(soon)
	p.Counts, p.Evidence = counts, evidence
	return p, nil
}

// deleteUser deletes a user, which can be undone, and has it purged, which
// cannot, and says what shows it. It looks first, so that a repetition does what
// is left to do.
func (w *work) deleteUser(ctx context.Context, call connector.Call, id int64) (shown connector.Evidence, refused bool, err error) {
	purged := said(call.Now, "GET /users/{id}", "404") // by an earlier attempt, or by somebody else
	u, err := w.user(ctx, id)
	if err != nil || u == nil {
		return purged, false, err
	}
	gone := []int{http.StatusNotFound, http.StatusUnprocessableEntity}
	if u.Active {
		a, err := w.do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/users/{user_id}", number(id)), Expect: gone})
		if err != nil || a.Status == http.StatusUnprocessableEntity {
			return connector.Evidence{}, err == nil, err
		}
	}
	a, err := w.do(ctx, kit.Call{Method: http.MethodDelete, Route: kit.To("/deleted_users/{deleted_user_id}", number(id)), Expect: gone})
	if err != nil || a.Status < 300 {
		return said(call.Now, "DELETE /deleted_users/{id}", "200"), false, err
	}
	if u, err = w.user(ctx, id); err != nil || u == nil {
		return purged, false, err
	}
	return connector.Evidence{}, false, errs.New(errs.Conflict, "%s: a deleted user was restored", w.inventory.System)
}

// blocked deals with a user that cannot be deleted. The usual reason is a ticket
// that is not closed: one that came in meanwhile is dealt with like the others.
func (w *work) blocked(ctx context.Context, id int64, h erasing) (connector.Progress, error) {
	type page struct {
		Tickets []ticket `json:"tickets"`
	}
	open := false
	err := each(ctx, w, kit.To("/users/{user_id}/tickets/"+requested, number(id)), pageSize, func(p *page, _ bool) (bool, error) {
		open = slices.ContainsFunc(p.Tickets, func(t ticket) bool { return !t.closed() || w.config.Tickets == deleteTickets })
		return open, nil
	})
	if err != nil || !open {
		return h.ask(blockedAsk), err
	}
	h = h.to(listTickets)
	h.At, h.Last = 0, 0
	return h.next(soon), nil
}
