/** Names of the API's types, which `npm run types` makes from /openapi.json. */
import type { components } from "../../generated/openapi";

type Schemas = components["schemas"];

export type MemoryStatus = Schemas["MemoryStatus"];
export type PolicyStatus = Schemas["PolicyStatus"];
export type ModelList = Schemas["ModelList"];
export type DescribedModel = Schemas["DescribedModel"];
export type Explanation = Schemas["Explanation"];
export type ExplainedCandidate = Schemas["ExplainedCandidate"];
export type Neighbour = Schemas["Neighbour"];
export type SamplePrompt = Schemas["SamplePrompt"];
export type ListedDecision = Schemas["ListedDecision"];
export type DecisionPage = Schemas["DecisionPage"];
export type Decision = Schemas["Decision"];
export type DecidedCandidate = Schemas["DecidedCandidate"];
export type ReasonCount = Schemas["ReasonCount"];
export type UsageReport = Schemas["UsageReport"];
export type Memory = Schemas["Memory"];
export type MemoryPage = Schemas["MemoryPage"];
export type MemoryNode = Schemas["MemoryNode"];
export type MemoryGraph = Schemas["MemoryGraph"];
export type EdgePage = Schemas["EdgePage"];
export type Taught = Schemas["Taught"];
export type TenantEntry = Schemas["TenantEntry"];
export type KeyEntry = Schemas["KeyEntry"];
export type CreatedKey = Schemas["CreatedKey"];
export type RotatedKey = Schemas["RotatedKey"];
export type PolicyEntry = Schemas["PolicyEntry"];
export type ModelEntry = Schemas["ModelEntry"];
export type ProviderEntry = Schemas["ProviderEntry"];
export type LimitEntry = Schemas["LimitEntry"];
export type BreakerEntry = Schemas["BreakerEntry"];
export type Judged = Schemas["Judged"];
