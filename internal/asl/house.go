package asl

// House are the rules for statemachines/: the words of Avow's functions. None of
// them ever holds personal data.
var House = Rules{
	Payload: []string{"do", "request", "epoch", "execution", "system", "operation", "look", "wait", "token", "error", "state"},
	Input:   []string{"request", "epoch", "system", "operation", "look"},
	Items: map[string][]string{ // what `plan` and `look` promise of each system
		"Systems":     {"request", "epoch", "system", "operation", "look", "name"},
		"LookSystems": {"request", "epoch", "system", "operation", "look", "name"},
	},
	Substitutions: []string{"StepsFunctionArn", "EraseFunctionArn", "SystemMachineArn"},
}

// Substitutions are the values of the template's placeholders for an engine
// whose functions are called steps and erase, and its machine of systems system.
func Substitutions() map[string]string {
	return map[string]string{
		"StepsFunctionArn": FunctionARN("steps"), "EraseFunctionArn": FunctionARN("erase"), "SystemMachineArn": MachineARN("system"),
	}
}
