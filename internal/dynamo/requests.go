package dynamo

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/avow-consent/avow/internal/errs"
	"github.com/avow-consent/avow/internal/pseudonym"
	"github.com/avow-consent/avow/internal/request"
)

// Requests keeps data-subject requests: each is a partition of its own.
type Requests struct {
	client *client
	table  string
	hasher *pseudonym.Hasher
	now    func() time.Time
	newID  func(time.Time) string // a fresh UUIDv7 of the given time
}

var (
	_ request.Store     = (*Requests)(nil)
	_ request.Forgetter = (*Requests)(nil)
)

// NewRequests returns the requests in the given table.
func NewRequests(cfg aws.Config, table string, hasher *pseudonym.Hasher, now func() time.Time, newID func(time.Time) string) *Requests {
	return &Requests{client: newClient(cfg), table: table, hasher: hasher, now: now, newID: newID}
}

// Create implements request.Store. A repetition of the same call, after a lost
// reply, succeeds.
func (s *Requests) Create(ctx context.Context, r *request.Request, e request.Entry, p request.Personal, known []request.Known) error {
	if !requestID(r.ID) {
		return errs.New(errs.Internal, "a request needs an id that keys can hold")
	}
	e.ID = s.hasher.ID(e.At, "request", r.ID)
	w := s.writing(request.Change{Request: r, Entries: []request.Entry{e}, Personal: &p, Known: known})
	w.guard.condition, w.guard.values = "attribute_not_exists(version)", item{}
	err := s.commit(ctx, w)
	switch {
	case err == errCondition:
		return errs.New(errs.Conflict, "one with this request exists already")
	case err == nil:
		r.Version++
	}
	return err
}

// Write implements request.Store. The ids of the entries stay set when the
// outcome is not known (Unavailable): writing the same Change again is safe, also
// when the first attempt has succeeded.
//
// More rows than one transaction takes (100) are written in several: those of
// identifiers and findings first, each under the same condition, the request and
// its log last.
func (s *Requests) Write(ctx context.Context, c request.Change) error {
	if (c.Request == nil) == (c.Fence == nil) {
		return errs.New(errs.Internal, "a change is one of a request or behind a fence")
	}
	s.nameEntries(c.Entries)
	if err := s.commit(ctx, s.writing(c)); err != nil {
		return err
	}
	if c.Request != nil {
		c.Request.Version++
	}
	return nil
}

// nameEntries gives entries their ids, in the order of the list also where they
// are of the same millisecond.
func (s *Requests) nameEntries(entries []request.Entry) {
	var fresh []string
	for _, e := range entries {
		if e.ID == "" {
			fresh = append(fresh, s.newID(e.At))
		}
	}
	slices.Sort(fresh)
	for i := range entries {
		if entries[i].ID == "" {
			entries[i].ID, fresh = fresh[0], fresh[1:]
		}
	}
}

// writing is a change on its way into transactions.
type writing struct {
	id    string                    // of the request
	guard guard                     // what every transaction of it demands of the row of the request
	row   item                      // the next row of the request; nil behind a fence
	early []types.TransactWriteItem // may go ahead in transactions of their own
	last  []types.TransactWriteItem //
	entry string                    // sort key of the first entry; "" without
	mark  string                    // digest of it all, in the row of the first entry
}

// guard is a condition on the row of the request.
type guard struct {
	condition string
	values    item
}

// writing prepares a change.
func (s *Requests) writing(c request.Change) *writing {
	w := &writing{}
	epoch := 0
	if c.Request != nil {
		w.id, w.row, epoch = c.Request.ID, encodeRequest(c.Request), c.Request.Epoch
		w.guard = guard{"version = :version", item{":version": number(int64(c.Request.Version))}}
	} else {
		w.id, epoch = c.Fence.Request, c.Fence.Epoch
		w.guard = guard{"epoch = :epoch", item{":epoch": number(int64(epoch))}}
	}
	if holdsPerson(c) {
		w.guard.condition += " AND attribute_not_exists(forgotten)"
	}
	for _, k := range c.Known {
		w.early = append(w.early, s.put(encodeKnown(w.id, k)))
	}
	for _, f := range c.Found {
		w.early = append(w.early, s.put(encodeFound(w.id, f)))
	}
	for _, t := range c.Tasks {
		w.last = append(w.last, s.put(bodyRow(w.id, taskPrefix+t.ID, t)))
	}
	for _, step := range c.Steps {
		w.last = append(w.last, s.putStep(w.id, step, epoch))
	}
	if c.Decision != nil {
		w.last = append(w.last, s.put(encodeDecision(w.id, c.Decision)))
	}
	if c.Personal != nil {
		w.last = append(w.last, s.put(bodyRow(w.id, personalSort, *c.Personal)))
	}
	s.addEntries(w, c.Entries)
	return w
}

// addEntries adds the log and marks its first row with the digest of the whole
// change, by which a repetition recognises its own success. Without entries the
// digest is of this call alone.
func (s *Requests) addEntries(w *writing, entries []request.Entry) {
	first := len(w.last)
	for _, e := range entries {
		row := s.put(bodyRow(w.id, logPrefix+e.ID, e))
		row.Put.ConditionExpression = aws.String("attribute_not_exists(#i)")
		row.Put.ExpressionAttributeNames = map[string]string{"#i": "item"}
		w.last = append(w.last, row)
	}
	rows := []item{w.row, w.guard.values}
	for _, row := range slices.Concat(w.early, w.last) {
		rows = append(rows, row.Put.Item, row.Put.ExpressionAttributeValues)
	}
	if len(entries) == 0 {
		w.mark = s.onceOf(rows...)
		return
	}
	w.mark, w.entry = s.digest(rows), logPrefix+entries[0].ID
	w.last[first].Put.Item["mark"] = text(w.mark)
}

// holdsPerson reports whether a change writes what Forget deletes.
func holdsPerson(c request.Change) bool {
	return c.Personal != nil || len(c.Known) > 0 ||
		slices.ContainsFunc(c.Steps, func(s request.Step) bool { return s.Handle != "" }) ||
		slices.ContainsFunc(c.Found, func(f request.Found) bool { return f.Handle != "" })
}

// put is one row of a transaction.
func (s *Requests) put(row item) types.TransactWriteItem {
	return types.TransactWriteItem{Put: &types.Put{TableName: &s.table, Item: row}}
}

// putStep puts the row of a step under its version, and never over that of a
// later run.
func (s *Requests) putStep(id string, step request.Step, epoch int) types.TransactWriteItem {
	row := s.put(encodeStep(id, step))
	condition, values := "attribute_not_exists(version)", item{":epoch": number(int64(epoch))}
	if step.Version > 0 {
		condition, values[":version"] = "version = :version", number(int64(step.Version))
	}
	row.Put.ConditionExpression = aws.String(condition + " AND (attribute_not_exists(epoch) OR epoch <= :epoch)")
	row.Put.ExpressionAttributeValues = values
	return row
}

// The limits of one transaction: actions, and bytes with some room for what the
// conditions take (4 MB).
const (
	transactionActions = 100
	transactionBytes   = 3_500_000
)

// commit carries a change out. errCondition means that it was not, and that no
// earlier attempt at the same change was.
func (s *Requests) commit(ctx context.Context, w *writing) error {
	last := append([]types.TransactWriteItem{s.guarded(w, true)}, w.last...)
	if !fits(last) {
		return errs.New(errs.TooLarge, "the change has more than one transaction takes: %d actions or %d bytes", transactionActions, transactionBytes)
	}
	var err error
	if whole := slices.Concat(last, w.early); fits(whole) {
		err = transact(ctx, s.client, w.token(0), whole)
	} else {
		err = s.inParts(ctx, w, last)
	}
	if err == errCondition && w.entry != "" {
		return s.applied(ctx, w)
	}
	return err
}

// inParts writes what may go ahead, then the rest.
func (s *Requests) inParts(ctx context.Context, w *writing, last []types.TransactWriteItem) error {
	n := 0
	for rest := w.early; len(rest) > 0; {
		part := []types.TransactWriteItem{s.guarded(w, false)}
		for len(rest) > 0 && fits(append(part, rest[0])) {
			part, rest = append(part, rest[0]), rest[1:]
		}
		if len(part) == 1 {
			return errs.New(errs.TooLarge, "a row of the change has more than %d bytes", transactionBytes)
		}
		n++
		if err := transact(ctx, s.client, w.token(n), part); err != nil {
			return err
		}
	}
	return transact(ctx, s.client, w.token(0), last)
}

// token is the idempotency token of the n-th transaction of a change.
func (w *writing) token(n int) string { return fmt.Sprintf("%s.%d", w.mark, n) }

// guarded is the action on the row of the request: it replaces what this version
// knows of it, or only checks it.
func (s *Requests) guarded(w *writing, write bool) types.TransactWriteItem {
	key := requestRow(w.id, requestSort)
	if w.row == nil || !write {
		return types.TransactWriteItem{ConditionCheck: &types.ConditionCheck{
			TableName: &s.table, Key: key, ConditionExpression: &w.guard.condition, ExpressionAttributeValues: noneIfEmpty(w.guard.values),
		}}
	}
	values, names := maps.Clone(w.guard.values), map[string]string{}
	var set, remove []string
	for _, name := range requestAttributes {
		place := fmt.Sprint("#", len(names))
		names[place] = name
		if value, ok := w.row[name]; ok {
			values[":"+place[1:]] = value
			set = append(set, place+" = :"+place[1:])
		} else {
			remove = append(remove, place)
		}
	}
	expression := "SET " + strings.Join(set, ", ")
	if len(remove) > 0 {
		expression += " REMOVE " + strings.Join(remove, ", ")
	}
	return types.TransactWriteItem{Update: &types.Update{
		TableName: &s.table, Key: key, UpdateExpression: &expression, ConditionExpression: &w.guard.condition,
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
	}}
}

func noneIfEmpty(values item) item {
	if len(values) == 0 {
		return nil
	}
	return values
}

// applied tells whether a change that meets a newer version is that version, or
// was: its first entry then stands in the log with the digest of all of it.
func (s *Requests) applied(ctx context.Context, w *writing) error {
	row, err := s.get(ctx, requestRow(w.id, w.entry))
	if err != nil {
		return err
	}
	if getText(row, "mark") != w.mark {
		return errCondition
	}
	return nil
}

// fits reports whether one transaction takes the actions.
func fits(writes []types.TransactWriteItem) bool {
	bytes := 0
	for _, w := range writes {
		switch {
		case w.Put != nil:
			bytes += itemSize(w.Put.Item)
		case w.Update != nil:
			bytes += itemSize(w.Update.ExpressionAttributeValues)
		}
	}
	return len(writes) <= transactionActions && bytes <= transactionBytes
}

// onceOf is an idempotency token of this call alone.
func (s *Requests) onceOf(rows ...item) string {
	return s.digest(append(rows, item{"": text(s.newID(s.now()))}))
}

// digest is 24 characters that stand for rows with their conditions, in this
// table: those of an account share the space of idempotency tokens.
func (s *Requests) digest(rows []item) string {
	h := sha256.New()
	add := func(s string) {
		_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(s))))
		_, _ = h.Write([]byte(s))
	}
	add(s.table)
	for _, row := range rows {
		add(fmt.Sprint(len(row)))
		for _, name := range slices.Sorted(maps.Keys(row)) {
			add(name)
			switch v := row[name].(type) {
			case *types.AttributeValueMemberS:
				add("S" + v.Value)
			case *types.AttributeValueMemberN:
				add("N" + v.Value)
			default:
				panic(fmt.Sprintf("dynamo: a row of a request holds a %T", v))
			}
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:18])
}
